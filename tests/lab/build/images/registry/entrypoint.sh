#!/bin/sh
# A configuration file or a subcommand starts the registry; anything else is a command of its own.
set -eu
case "${1:-}" in
  *.yml | *.yaml) exec registry serve "$@" ;;
  serve | garbage-collect | help | -*) exec registry "$@" ;;
  *) exec "$@" ;;
esac
