# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sidecar of an app with UDP ports: streams of datagrams from the door, datagrams to the app beside it.

It is Perl, for that is in every Debian: the collection's image needs nothing more. What it speaks is told in
``on_device/udp_frames.py``. One stream is one client of the device; the app sees it as a port of 127.0.0.1.
"""

from __future__ import annotations

from typing import Any

from ..catalog.records import App

CONTAINER = "udp"
FIRST_PORT = 61000
"""Above the ports from which Linux takes those of outgoing connections, which the app may have."""

# A stream is greeted once the app has its port open, which the shared network's table tells, or after 10 s: there are
# apps that open a port only when they need it. Before, connections are closed at once, as by a port that is closed.
# The same table tells how much waits for the app: with more than 64 KiB there is a pause, 50 ms at most, for a stream
# can bring more at once than an app's socket holds; and the address of an app that does not listen on 127.0.0.1.
PROGRAM = r"""
use strict; use Socket; use Fcntl; use Errno qw(EAGAIN EINTR);
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
$SIG{PIPE} = "IGNORE";
my ($begin, $r, $w, %listen, %flow, %of, %known) = (time, "", "");
sub plain { my $flags = fcntl($_[0], F_GETFL, 0); fcntl($_[0], F_SETFL, $flags | O_NONBLOCK) }
for (@ARGV) {
  my ($tcp, $udp) = split /:/;
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
  setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
  bind($s, sockaddr_in($tcp, INADDR_ANY)) or die "port $tcp: $!";
  listen($s, 1024) or die "port $tcp: $!";
  plain($s);
  $listen{fileno $s} = [$s, $udp];
  vec($r, fileno $s, 1) = 1;
}
sub waiting {
  my ($hex, $found) = sprintf ":%04X", $_[0];
  for my $name (qw(/proc/net/udp /proc/net/udp6)) {
    open my $table, "<", $name or next;
    while (my $line = <$table>) {
      my @field = split " ", $line;
      $found = ($found // 0) + hex substr($field[4], 9) if $field[1] =~ /$hex$/;
    }
  }
  $found;
}
sub home {
  my $found = INADDR_LOOPBACK;
  open my $table, "<", "/proc/net/udp" or return $found;
  while (my $line = <$table>) {
    my ($address, $port) = (split " ", $line)[1] =~ /^([0-9A-F]{8}):([0-9A-F]{4})$/ or next;
    next if hex $port != $_[0];
    my $own = pack "L", hex $address;
    return INADDR_LOOPBACK if $own eq INADDR_ANY || $own eq INADDR_LOOPBACK;
    $found = $own;
  }
  $found;
}
sub ready {
  my $udp = shift;
  # The table is long where there are many clients: what it said counts for a second.
  return $known{$udp}[1] if $known{$udp} && $known{$udp}[0] == time;
  return unless time - $begin > 10 || defined waiting($udp);
  $known{$udp} = [time, home($udp)];
  $known{$udp}[1];
}
sub heed {
  for (1 .. 25) { return if (waiting($_[0]) // 0) < 65536; select undef, undef, undef, 0.002 }
}
sub drop {
  my $f = shift;
  delete $flow{$f->{id}}; delete $of{fileno $f->{u}};
  vec($r, $_, 1) = vec($w, $_, 1) = 0 for $f->{id}, fileno $f->{u};
  close $f->{u}; close $f->{c};
}
sub enter {
  my ($s, $udp) = @{$_[0]};
  while (accept(my $c, $s)) {
    my $home = ready($udp);
    if (!defined $home || keys %flow >= 4096) { close $c; next }
    plain($c);
    setsockopt($c, 6, 1, 1);
    setsockopt($c, SOL_SOCKET, SO_KEEPALIVE, 1);
    socket(my $u, PF_INET, SOCK_DGRAM, 0) or do { close $c; next };
    setsockopt($u, SOL_SOCKET, SO_RCVBUF, 262144);
    connect($u, sockaddr_in($udp, $home));
    plain($u);
    my $f = {udp => $udp, id => fileno $c, c => $c, u => $u, in => "", out => "kraf-udp 1\n", seen => time};
    $flow{$f->{id}} = $of{fileno $u} = $f;
    vec($r, $f->{id}, 1) = 1;
    push_out($f);
  }
}
sub from_door {
  my $f = shift;
  my $n = sysread($f->{c}, $f->{in}, 65536, length $f->{in});
  if (!defined $n) { drop($f) unless $! == EAGAIN || $! == EINTR; return }
  my ($at, $have, $count, $bytes) = (0, length $f->{in}, 0, 0);
  while ($have - $at >= 2) {
    my $size = unpack "n", substr($f->{in}, $at, 2);
    last if $have - $at - 2 < $size;
    # The first try may only tell of an earlier one that was refused.
    for (1, 2) { last if defined send($f->{u}, substr($f->{in}, $at + 2, $size), 0) }
    $at += 2 + $size;
    $bytes += $size;
    if (++$count % 32 == 0 || $bytes > 32768) { heed($f->{udp}); $bytes = 0 }
  }
  substr($f->{in}, 0, $at, "");
  $f->{seen} = time;
  drop($f) unless $n;
}
sub from_app {
  my $f = shift;
  for (1 .. 64) {
    last if length $f->{out} > 131072;
    last unless defined recv($f->{u}, my $data, 65535, 0);
    $f->{out} .= pack "n/a*", $data;
  }
  $f->{seen} = time;
  push_out($f);
}
sub push_out {
  my $f = shift;
  my $n = syswrite($f->{c}, $f->{out});
  if (defined $n) { substr($f->{out}, 0, $n, "") } elsif ($! != EAGAIN && $! != EINTR) { return drop($f) }
  vec($w, $f->{id}, 1) = length $f->{out} ? 1 : 0;
  vec($r, fileno $f->{u}, 1) = length $f->{out} <= 131072 ? 1 : 0;
}
sub ones {
  my ($bits, $at, @found) = (unpack("b*", $_[0]), -1);
  push @found, $at while ($at = index $bits, "1", $at + 1) >= 0;
  @found;
}
my $swept = time;
while (1) {
  next if select(my $in = $r, my $out = $w, undef, 30) < 0;
  my @in = ones($in);
  for (@in) { enter($listen{$_}) if $listen{$_} }
  for (ones($out)) { push_out($flow{$_}) if $flow{$_} }
  for (@in) { from_door($flow{$_}) if $flow{$_} }
  for (@in) { from_app($of{$_}) if $of{$_} }
  if (time - $swept > 30) {
    $swept = time;
    for (values %flow) { drop($_) if $swept - $_->{seen} > 300 }
  }
}
"""


def ports(app: App) -> dict[int, int]:
    """The TCP port at which the sidecar takes the streams of each UDP port of the app."""
    taken = {port.port for port in app.ports if port.protocol != "UDP"}
    free = (port for port in range(FIRST_PORT, 65536) if port not in taken)
    return {port: next(free) for port in sorted(port.port for port in app.ports if port.protocol == "UDP")}


def container(app: App, image: str) -> dict[str, Any]:
    """The sidecar. It comes after the app in the pod, for containers are started in their order.

    Args:
        app: with a UDP port.
        image: the collection's own.
    """
    found = ports(app)
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["perl", "-e", PROGRAM, *(f"{tcp}:{udp}" for udp, tcp in found.items())],
        "ports": [{"containerPort": tcp, "protocol": "TCP"} for tcp in found.values()],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
        "securityContext": unprivileged(),
    }


def unprivileged() -> dict[str, Any]:
    """What a sidecar of the collection's may do: nothing but run and be spoken to, as nobody."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsUser": 65534,
        "runAsGroup": 65534,
        "capabilities": {"drop": ["ALL"]},
    }
