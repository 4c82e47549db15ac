# Ends a Postgres whose starter is gone, and removes its directory.
#
# Standard input is a pipe that only the starter holds open. It writes the id
# of the process to end, a new one after every restart, and 0 when there is
# none; end of file means that the starter is gone or has finished.
#
# Its arguments: SIGNAL [DIRECTORY]
#   SIGNAL     how to ask first: INT writes a checkpoint, QUIT does not
#   DIRECTORY  what to remove at the end
trap '' HUP INT QUIT TERM
pid=0
while read -r line; do pid=$line; done

# running: the process has not ended. One that only waits to be reaped has: the
# first process of a container may never do that.
running() {
	kill -0 "$pid" 2>/dev/null || return 1
	{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 0 # no /proc
	case $stat in *") Z "*) return 1 ;; esac
}

# gone N: wait up to about N tenths of a second for the process to end
gone() {
	rounds=$(($1 * 5))
	while running; do
		[ "$rounds" -gt 0 ] || return 1
		rounds=$((rounds - 1))
		sleep 0.02
	done
}

if [ "$pid" -gt 0 ]; then
	kill -s "$1" "$pid" 2>/dev/null
	if ! gone 150; then
		kill -s QUIT "$pid" 2>/dev/null
		if ! gone 50; then
			kill -s KILL "$pid" 2>/dev/null
			gone 10
		fi
	fi
fi

# A last child of the server may still write for a moment: try again.
if [ -n "$2" ]; then
	for _ in 1 2 3 4 5; do
		rm -rf -- "$2" 2>/dev/null && break
		sleep 0.2
	done
fi
