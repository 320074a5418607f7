#!/bin/sh
# Start Redpanda, its console and an SFTP server, then make call records into them until all are
# there; what is given is passed on:   ./cdr_to_redpanda_script.sh --total-seconds 3600
# With CDR_BROKERS set, nothing is started: the servers are taken to be there.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python}

keys() { # the server's key, so that it is known beforehand, and the one to log in with
    mkdir -p keys
    for key in host_key user_key; do
        [ -f "keys/$key" ] || ssh-keygen -q -t ed25519 -N '' -C cdr -f "keys/$key"
    done
    host=$(cut -d ' ' -f 1,2 keys/host_key.pub)
    printf '%s %s\n' '[localhost]:10022' "$host" sftp "$host" >keys/known_hosts
}

if [ -z "${CDR_BROKERS:-}" ]; then
    command -v docker >/dev/null || {
        echo "docker is not here; with servers of your own, set CDR_BROKERS, SFTP_HOST and SFTP_PORT" >&2
        exit 1
    }
    keys
    docker compose up --detach --wait redpanda console sftp
    echo "the topics are shown at http://localhost:8080"
fi
exec "$python" main.py "$@"
