package jobs

import (
	"time"

	"waybill/internal/bundle"
)

// item is one bundle on its way through a flight.
type item struct {
	id         int64
	bundle     *bundle.Bundle
	at         time.Time // occurred_at as the ledger caps it
	enqueuedAt time.Time
	attempt    int
	job        *heldJob
	life       int64 // the worker's life that it was read in

	// doubtSince is when the first attempt began that may have been accepted; zero
	// for none. doubtRequest is the request it belonged to.
	doubtSince   time.Time
	doubtRequest int64

	had bool // it had an outcome, or was in doubt, when it was read

	cut int // strings cut to Amplitude's limit

	plan *planned // what the tracking plan says; nil without one

	touched []identity // see touches
	bytes   int        // of its payload
}

// back is the item on its way back in line, to fly with the next request. It need not be
// read again, unless its fate is in doubt.
func (it *item) back() ref {
	r := ref{bundle: it.id, job: it.job}
	if !it.inDoubt() {
		r.read = it
	}
	return r
}

func (it *item) version() version { return version{at: it.at.UnixMicro(), id: it.id} }

// inDoubt says that an earlier attempt may have been accepted. Such a bundle is sent
// with nothing elided: what it told Amplitude is not known.
func (it *item) inDoubt() bool { return !it.doubtSince.IsZero() }

// user is the identity that the bundle's identify and increments speak of.
func (it *item) user() identity {
	if it.bundle.UserID != "" {
		return identity{kindUser, it.bundle.UserID}
	}
	return identity{kindDevice, it.bundle.DeviceID}
}

func groupIdentity(g bundle.Group) identity {
	return identity{kindGroupPrefix + g.Type, g.ID}
}

// touches lists the identities whose traits the bundle carries. The groups come last, in
// their own order.
func (it *item) touches() []identity {
	if it.touched != nil {
		return it.touched
	}
	it.touched = make([]identity, 0, 1+len(it.bundle.Groups))
	if it.bundle.Identify != nil || len(it.bundle.Increment) > 0 {
		it.touched = append(it.touched, it.user())
	}
	for _, g := range it.bundle.Groups {
		it.touched = append(it.touched, groupIdentity(g))
	}
	return it.touched
}

// group is the identity of the i-th group.
func (it *item) group(i int) identity {
	touched := it.touches()
	return touched[len(touched)-len(it.bundle.Groups)+i]
}

// limitedAs lists the identities under which Amplitude limits the bundle's events.
func (it *item) limitedAs() []identity {
	ids := []identity{{kindDevice, it.bundle.EffectiveDeviceID()}}
	if it.bundle.UserID != "" {
		ids = append(ids, identity{kindUser, it.bundle.UserID})
	}
	return ids
}

// byInstance makes the root group the user, for projects that count instances instead
// of people. A bundle without groups keeps its own user.
func byInstance(b *bundle.Bundle) {
	if len(b.Groups) > 0 {
		b.UserID = b.Groups[0].ID
	}
}
