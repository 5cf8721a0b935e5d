"""The lab: bare hosts and a mirror of upstream on one machine, in an engine of its own."""
