package jobs

import (
	"maps"
	"slices"
	"time"
)

// putBackBehind returns bundles that must wait for a request: until it is settled if it
// is one of ours, else for a moment.
func (b *batcher) putBackBehind(request int64, refs []ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying -= len(refs)
	refs = b.keep(refs)
	if b.open[request] {
		b.behind[request] = append(b.behind[request], refs...)
		return
	}
	until := time.Now().Add(foreignWait)
	for _, r := range refs {
		b.delayed = append(b.delayed, delayedRef{r, until})
	}
	b.signal()
}

// foreignWait is how often a bundle asks after another worker's request.
const foreignWait = 100 * time.Millisecond

// opened notes a request of ours that is under way.
func (b *batcher) opened(request int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[request] = true
}

// reserve notes whose traits a request of ours may be changing.
func (b *batcher) reserve(request int64, ids []identity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open[request] {
		return // it is settled, or of an earlier life
	}
	for _, id := range ids {
		b.reserved[id] = request
	}
}

// reservedTo lists for each item the request of ours that it has to wait for, zero for none.
func (b *batcher) reservedTo(items []*item) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	requests := make([]int64, len(items))
	for i, it := range items {
		for _, id := range it.touches() {
			if request, ok := b.reserved[id]; ok {
				requests[i] = request
				break
			}
		}
	}
	return requests
}

// openRequests are those of ours that are being prepared or are under way.
func (b *batcher) openRequests() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.AppendSeq(make([]int64, 0, len(b.open)), maps.Keys(b.open))
}

// settled lets the bundles go on that waited for a request of ours.
func (b *batcher) settled(request int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, request)
	maps.DeleteFunc(b.reserved, func(_ identity, by int64) bool { return by == request })
	b.letOn(request)
}

// reborn lets all bundles go on that wait for a request of an earlier life: that one
// reserves nothing any more, however long it is still under way.
func (b *batcher) reborn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for request := range b.open {
		b.open[request] = false
		b.letOn(request)
	}
	clear(b.reserved)
}

func (b *batcher) letOn(request int64) {
	if refs, ok := b.behind[request]; ok {
		delete(b.behind, request)
		b.line.putBack(refs)
		b.signal()
	}
}
