# Ends a Postgres container whose starter is gone, and removes it.
#
# Standard input is a pipe that only the starter holds open: its end means that
# the starter is gone or has finished.
#
# Its arguments: DOCKER CONTAINER [SECONDS]
#   SECONDS  how long a clean stop may take; without it the container is killed
trap '' HUP INT QUIT TERM
while read -r _; do :; done
[ -n "$3" ] && "$1" stop -t "$3" "$2" >/dev/null 2>&1
"$1" rm -f -v "$2" >/dev/null 2>&1
