package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"waybill/internal/plan"
)

// LockFile is the name of the lock in the plan's folder.
const LockFile = "plan.lock"

const lockHeader = `# The contracts of published event versions, one a line: name, version, contract.
# Written by plan gen. A line, once here, is never changed: publish a new version.
`

// prunedMark stands for the contract in the line of a version that plan prune found
// without unsent bundles.
const prunedMark = "pruned"

// Entry is one published version.
type Entry struct {
	Event    string
	Version  plan.Version
	Contract Contract
	Line     int // in the lock file; 0 for a new one
}

// Lock is every version that was ever published, and those of them that no bundle waits
// with any more.
type Lock struct {
	Entries []Entry
	Pruned  []Entry // without a contract
}

// LoadLock reads the lock in the plan's folder dir of an application's root. Without
// a file it is empty.
func LoadLock(root fs.FS, dir string) (Lock, plan.Problems, error) {
	file := path.Join(dir, LockFile)
	text, err := fs.ReadFile(root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return Lock{}, nil, nil
	}
	if err != nil {
		return Lock{}, nil, fmt.Errorf("lock: %w", err)
	}
	lock, problems := ReadLock(file, text)
	return lock, problems, nil
}

// ReadLock reads a lock file. An empty text is an empty lock.
func ReadLock(file string, text []byte) (Lock, plan.Problems) {
	var lock Lock
	var problems plan.Problems
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		entry, err := readEntry(line)
		entry.Line = i + 1
		if strings.HasSuffix(line, " "+prunedMark) && err == nil {
			lock.Pruned = append(lock.Pruned, entry)
			continue
		}
		if _, twice := lock.Find(entry.Event, entry.Version); err == nil && twice {
			err = fmt.Errorf("%s %s stands here twice", entry.Event, entry.Version)
		}
		if err != nil {
			problems = append(problems, plan.Problem{
				Pos: plan.Pos{File: file, Line: i + 1}, Rule: "lock-unreadable", Message: err.Error(),
				Fix: "restore the file from version control; after a merge, keep the lines of both sides once",
			})
			continue
		}
		lock.Entries = append(lock.Entries, entry)
	}
	return lock, problems
}

func readEntry(line string) (Entry, error) {
	name, rest, _ := strings.Cut(line, " ")
	versionText, text, ok := strings.Cut(rest, " ")
	version, err := plan.ParseVersion(versionText)
	if !ok || err != nil {
		return Entry{}, fmt.Errorf("is not: name version contract")
	}
	entry := Entry{Event: name, Version: version}
	if text == prunedMark {
		return entry, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&entry.Contract); err != nil {
		return Entry{}, fmt.Errorf("the contract of %s %s cannot be read: %w", name, version, err)
	}
	return entry, nil
}

// Find finds a published version.
func (l Lock) Find(event string, version plan.Version) (Entry, bool) {
	for _, e := range l.Entries {
		if e.Event == event && e.Version == version {
			return e, true
		}
	}
	return Entry{}, false
}

// Previous is the newest published version of the event's MAJOR older than the
// given one.
func (l Lock) Previous(event string, version plan.Version) (Entry, bool) {
	var found Entry
	for _, e := range l.Entries {
		if e.Event == event && e.Version.Major == version.Major && e.Version.Less(version) && !e.Version.Less(found.Version) {
			found = e
		}
	}
	return found, found.Event != ""
}

// Unpruned finds the newest published version of the MAJOR that an event has, unless no
// bundle waits with it any more.
func (l Lock) Unpruned(event string, major int) (Entry, bool) {
	of := func(e Entry) bool { return e.Event == event && e.Version.Major == major }
	if slices.ContainsFunc(l.Pruned, of) {
		return Entry{}, false
	}
	var found Entry
	for _, e := range l.Entries {
		if of(e) && !e.Version.Less(found.Version) {
			found = e
		}
	}
	return found, found.Event != ""
}

// WithPruned adds that no bundle waits with a version, nor with another of its MAJOR.
func (l Lock) WithPruned(event string, version plan.Version) Lock {
	pruned := append(slices.Clone(l.Pruned), Entry{Event: event, Version: version})
	sortEntries(pruned)
	return Lock{Entries: l.Entries, Pruned: pruned}
}

// Edited lists how an event differs from its published version. Empty: it does
// not, or the version is not published.
func (l Lock) Edited(e plan.Event) []Change {
	entry, ok := l.Find(e.Name, e.Version)
	if !ok || e.Status == plan.Removed || equal(entry.Contract, Of(e)) {
		return nil
	}
	return Compare(entry.Contract, Of(e))
}

// With adds the events that are published and not yet here. Those that are here
// stay as they are. What is sent again is no longer pruned.
func (l Lock) With(p *plan.Plan) Lock {
	next := Lock{Entries: slices.Clone(l.Entries), Pruned: slices.DeleteFunc(slices.Clone(l.Pruned), func(pruned Entry) bool {
		return slices.ContainsFunc(p.Events, func(e plan.Event) bool {
			return e.Name == pruned.Event && e.Version.Major == pruned.Version.Major && e.Status != plan.Removed
		})
	})}
	for _, e := range p.Events {
		if _, ok := next.Find(e.Name, e.Version); e.Published() && !ok {
			next.Entries = append(next.Entries, Entry{Event: e.Name, Version: e.Version, Contract: Of(e)})
		}
	}
	sortEntries(next.Entries)
	return next
}

func sortEntries(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			strings.Compare(a.Event, b.Event),
			cmp.Compare(a.Version.Major, b.Version.Major), cmp.Compare(a.Version.Minor, b.Version.Minor),
		)
	})
}

// Bytes is the lock as a file.
func (l Lock) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString(lockHeader)
	for _, e := range l.Entries {
		text, _ := json.Marshal(e.Contract) // strings, numbers and maps of them
		fmt.Fprintf(&b, "%s %s %s\n", e.Event, e.Version, text)
	}
	for _, e := range l.Pruned {
		fmt.Fprintf(&b, "%s %s %s\n", e.Event, e.Version, prunedMark)
	}
	return b.Bytes()
}
