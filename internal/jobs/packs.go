package jobs

// How many packs a worker holds. Without a bound an import would take every slot, and a
// worker's memory, for what it cannot send yet.
const (
	packMost   = 100     // bundles in a pack: waybill.enqueue cuts a call into packs of so many
	packsAhead = 100_000 // bundles of packs that are brought in line: some seconds' worth
)

// packsWanted is how many more packs a worker of so many slots takes that holds so many, while
// so many bundles of packs stand in line: none until half of them are gone, because many small
// claims cost more than a large one. Of a hundred slots and more, a tenth is left to what
// is more urgent. Fewer may all be taken: River asks again as soon as one is free only if it
// was given as many jobs as it had asked for.
func packsWanted(waiting, held, slots int) int {
	if waiting >= packsAhead/2 {
		return 0
	}
	if slots >= 100 {
		slots -= slots / 10
	}
	return max(min((packsAhead-waiting+packMost-1)/packMost, slots-held), 0)
}

// packsWanted is how many more packs may be held.
func (b *batcher) packsWanted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return packsWanted(b.line.packed(), b.packs, b.slots)
}
