# Ends a Postgres container whose starter is gone, and removes it.
#
# Standard input is a pipe that only the starter holds open: its end means that
# the starter is gone or has finished.
#
# Its arguments: DOCKER CONTAINER SECONDS DIRECTORY
#   SECONDS    how long a clean stop may take; if empty, the container is killed
#   DIRECTORY  what to remove at the end; may be empty
trap '' HUP INT QUIT TERM
while read -r _; do :; done
[ -n "$3" ] && "$1" stop -t "$3" "$2" >/dev/null 2>&1
"$1" rm -f -v "$2" >/dev/null 2>&1
[ -n "$4" ] && rm -rf -- "$4"
