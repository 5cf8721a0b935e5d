# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of an export's server: lighttpd's configuration, the answer to quota questions, the probe.

Options: https://redmine.lighttpd.net/projects/lighttpd/wiki/Docs_ConfigurationOptions and the pages of each module.
"""

from __future__ import annotations

VOLUME = "/srv/volume"
"""Where the volume is mounted. ``files`` in it is served; ``.kraf`` beside it holds locks and unfinished uploads."""
FILES = "files"
CREDENTIALS = "/etc/kraf/export"
CONFIG = "/etc/kraf/config"
PLAIN_PORT = 8080
TLS_PORT = 8443

LIGHTTPD = f"""\
server.compat-module-load = "disable"
server.modules = (
    "mod_alias", "mod_auth", "mod_authn_file", "mod_magnet", "mod_webdav", "mod_staticfile", "mod_openssl"
)
server.document-root = "{VOLUME}/files"
server.port = {PLAIN_PORT}
server.tag = "kraf"
# davfs2 speaks 1.1 only, and what nobody uses need not be open.
server.feature-flags = ( "server.h2proto" => "disable", "server.h2c" => "disable" )

# An upload is written beside the files and renamed when it is whole, so it must be on the same file system.
server.upload-dirs = ( "{VOLUME}/.kraf/uploads" )
server.max-request-size = 0
server.max-read-idle = 300
server.max-write-idle = 600
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 60

# Without a type, answers carry no ETag, by which clients notice that a file changed.
mimetype.assign = ( "" => "application/octet-stream" )

auth.backend = "plain"
auth.backend.plain.userfile = "{CREDENTIALS}/users"
auth.require = ( "/" => ( "method" => "basic", "realm" => "kraf", "require" => "valid-user" ) )

# The probe writes to the same file system and the same table of locks, but not among the user's files.
alias.url = ( "/.kraf-probe/" => "{VOLUME}/.kraf/probe/" )
webdav.activate = "enable"
webdav.sqlite-db-name = "{VOLUME}/.kraf/locks.sqlite"
magnet.attract-response-start-to = ( "{CONFIG}/quota.lua" )

$SERVER["socket"] == ":{TLS_PORT}" {{
    ssl.engine = "enable"
    ssl.pemfile = "{CREDENTIALS}/tls.crt"
    ssl.privkey = "{CREDENTIALS}/tls.key"
    ssl.openssl.ssl-conf-cmd = ( "MinProtocol" => "TLSv1.2" )
}}
"""

QUOTA = f"""\
-- Size and use of the volume (RFC 4331): mod_webdav answers that it does not know these two properties; put them in.
local r = lighty.r
if r.req_attr["request.method"] ~= "PROPFIND" or r.req_header["Depth"] ~= "0" then return 0 end
local body = r.resp_body.get
if not body or not body:find("quota-", 1, true) then return 0 end
local found
body, found = body:gsub("<[^<>]*quota%-%a+%-bytes[^<>]*/>", "")
if found == 0 then return 0 end

local pipe = io.popen("stat -f -c '%S %b %a' {VOLUME}")
local unit, blocks, free = (pipe and pipe:read("l") or ""):match("(%d+) (%d+) (%d+)")
if pipe then pipe:close() end
if not unit then return 0 end

-- Clients add the two up to the size of the disk, so what is reserved for root counts as used.
local quota = string.format(
  "<D:quota-available-bytes>%.0f</D:quota-available-bytes><D:quota-used-bytes>%.0f</D:quota-used-bytes>",
  unit * free, unit * (blocks - free))
local status = "<D:status>HTTP/1.1 404 Not Found</D:status>"
body = body:gsub("<D:propstat>%s*<D:prop>%s*</D:prop>%s*" .. status .. "%s*</D:propstat>", "")
body = body:gsub("</D:response>", "<D:propstat>\\n<D:prop>\\n" .. quota
  .. "</D:prop>\\n<D:status>HTTP/1.1 200 OK</D:status>\\n</D:propstat>\\n</D:response>", 1)
r.resp_body.set(body)
-- With 0 the answer would never end: only a status says that this is all of it.
return 207
"""

START = f"""\
set -eu
umask 007
mkdir -p {VOLUME}/files {VOLUME}/.kraf/uploads {VOLUME}/.kraf/probe
# What a killed server had received half of.
find {VOLUME}/.kraf/uploads -type f -delete
exec lighttpd -D -f {CONFIG}/lighttpd.conf
"""

PROBE = f"""\
# Ready means: a file can be locked, written, unlocked and deleted. Reading alone would not show a lost table of locks.
set -u
account=$(tr -d '\\n' < {CREDENTIALS}/users | base64 -w 0)
target=/.kraf-probe/$$
body='<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'

ask() {{
    local method=$1 content=$2 line
    shift 2
    exec 3<>/dev/tcp/127.0.0.1/{PLAIN_PORT} || return 1
    {{
        printf '%s %s HTTP/1.1\\r\\nHost: probe\\r\\nAuthorization: Basic %s\\r\\n' "$method" "$target" "$account"
        printf 'Connection: close\\r\\nContent-Length: %d\\r\\n' "${{#content}}"
        [ $# = 0 ] || printf '%s\\r\\n' "$@"
        printf '\\r\\n%s' "$content"
    }} >&3
    status= token=
    while IFS= read -t 5 -r line <&3; do
        line=${{line%$'\\r'}}
        case $line in
            '') break ;;
            HTTP/1.1\\ *) status=${{line:9:3}} ;;
            [Ll]ock-[Tt]oken:*) token=${{line#*: }} ;;
        esac
    done
    exec 3>&-
    case $status in 2??) return 0 ;; esac
    # A full disk is no reason to keep readers and deleters away.
    if [ "$(stat -f -c %a {VOLUME})" -lt 16 ] && [ -n "$status" ]; then exit 0; fi
    echo "$method answered ${{status:-nothing}}" >&2
    return 1
}}

ask LOCK "$body" 'Content-Type: application/xml' 'Timeout: Second-30' || exit 1
lock=$token
ask PUT probe "If: ($lock)" || exit 1
ask UNLOCK '' "Lock-Token: $lock" || exit 1
ask DELETE '' || exit 1
"""
