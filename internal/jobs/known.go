package jobs

import (
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgtype"
)

// place is where a row stands: what was read from it holds as long as this version of it is
// the newest one.
type place struct {
	tid pgtype.TID
	xid uint32 // of the transaction that wrote it
	// seenID is the row's seen_id. Ids of rows and transactions are used again after a
	// failover that lost some; then this one differs.
	seenID int64
}

// known remembers the profiles that Prepare has read or moved on, so that the next flight
// of the same users and groups has to ask only whether anybody has changed them since. It
// is never believed unasked, and so may forget anything at any time. What a request may be
// changing is not kept.
type known struct {
	most, mostBytes int // profiles, and their size

	// trusted says that no other worker is about, which could change what is remembered. If
	// one has come since, what is written on the strength of it finds another row and fails.
	trusted atomic.Bool

	mu       sync.Mutex
	profiles map[identity]remembered
	bytes    int // of all of them
}

type remembered struct {
	profile *profile
	bytes   int
	asked   bool // for, since it was last a candidate to be forgotten
}

// How much a worker remembers. A profile takes about 1 KB; one with a thousand long traits
// takes a megabyte.
const (
	knownProfiles = 10_000
	knownBytes    = 16 << 20
)

func newKnown(most, mostBytes int) *known {
	k := &known{most: most, mostBytes: mostBytes}
	k.forgetAll()
	return k
}

// otherWorkers notes how many there are.
func (k *known) otherWorkers(n int) { k.trusted.Store(n == 0) }

// get returns what is remembered, nil for nothing. It is shared, and stays as it is.
func (k *known) get(id identity) *profile {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.profiles[id]
	if ok && !r.asked {
		r.asked = true
		k.profiles[id] = r
	}
	return r.profile
}

// all adds to found what is remembered of the wanted.
func (k *known) all(w wanted, found map[identity]*profile) {
	for i := range w.ids {
		if p := k.get(w.identity(i)); p != nil {
			found[w.identity(i)] = p
		}
	}
}

// put remembers, unless that would take the place of very many others. The caller holds the
// lock.
func (k *known) put(id identity, p *profile) {
	asked := k.profiles[id].asked
	k.forget(id)
	r := remembered{p, p.bytes(), asked}
	if r.bytes > k.mostBytes/16 {
		return
	}
	for len(k.profiles) >= k.most || k.bytes+r.bytes > k.mostBytes {
		k.forgetOne()
	}
	k.profiles[id] = r
	k.bytes += r.bytes
}

// forget drops what is remembered of one, if anything is. The caller holds the lock.
func (k *known) forget(id identity) {
	k.bytes -= k.profiles[id].bytes
	delete(k.profiles, id)
}

// forgetOne picks one by chance, and another one if that has been asked for since it was
// last picked: who comes often is known, and as many as there is room for.
func (k *known) forgetOne() {
	for {
		for id, r := range k.profiles { // begins anywhere
			if !r.asked {
				k.forget(id)
				return
			}
			r.asked = false
			k.profiles[id] = r
		}
	}
}

// learn takes over what a transaction that has committed read and wrote. What it knew
// before and left alone is known still.
func (k *known) learn(out *sorted) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range out.read.ids {
		id := out.read.identity(i)
		k.replace(id, out.send.base[id])
	}
	for id, s := range out.states {
		if s.changed() {
			k.replace(id, out.moved[id])
		}
	}
}

// learnRecorded takes over how profiles stand that a record has written.
func (k *known) learnRecorded(stand map[identity]*profile) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, p := range stand {
		k.replace(id, p)
	}
}

// replace remembers another profile, or, of one that is nil, reserved or without a row,
// nothing. The caller holds the lock.
func (k *known) replace(id identity, p *profile) {
	if p != nil && p.heldBy == 0 && !p.isNew() {
		k.put(id, p)
		return
	}
	k.forget(id)
}

// forgetAll is for whoever does not know what became of a transaction.
func (k *known) forgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.profiles, k.bytes = map[identity]remembered{}, 0
}
