package importer

import (
	"encoding/json"
	"io"
	"time"
)

// item is one line after the local check: blank, refused, or fit to be enqueued.
type item struct {
	number  int
	end     int64 // bytes of the input behind it
	blank   bool
	key     string
	refusal string
	json    json.RawMessage // nil if blank or refused
}

// feed reads and checks lines ahead of the door.
type feed struct {
	in    *lines
	now   func() time.Time
	items chan item // closed at the end
	err   error     // why it ended; read it after items is closed
}

// ahead is how many checked lines may wait, each at most a bundle's size.
const ahead = 64

func newFeed(r io.Reader, now func() time.Time) *feed {
	return &feed{in: newLines(r), now: now, items: make(chan item, ahead)}
}

// run fills items until the input ends or done is closed.
func (f *feed) run(done <-chan struct{}) {
	defer close(f.items)
	for {
		l, err := f.in.next()
		if err != nil {
			f.err = err
			return
		}
		select {
		case f.items <- f.read(l):
		case <-done:
			return
		}
	}
}

func (f *feed) read(l line) item {
	it := item{number: l.number, end: l.end}
	switch {
	case l.tooLong:
		it.refusal = "bundle: is a line of more than 16 MB; a bundle holds at most 256 KB"
	case isBlank(l.text):
		it.blank = true
	default:
		it.json, it.key, it.refusal = check(l.text, f.now())
	}
	return it
}

// batch is what goes through the door together, with the lines between.
type batch struct {
	items   []item
	bundles []Bundle
	bytes   int
}

func (b *batch) add(it item) {
	b.items = append(b.items, it)
	if it.json != nil {
		b.bundles = append(b.bundles, Bundle{Line: it.number, Key: it.key, JSON: it.json})
		b.bytes += len(it.json)
	}
}

func (b *batch) empty() bool { return len(b.items) == 0 }

func (b *batch) full() bool { return len(b.items) >= batchLines || b.bytes >= batchBytes }

func (b *batch) reset() {
	clear(b.items)
	clear(b.bundles)
	b.items, b.bundles, b.bytes = b.items[:0], b.bundles[:0], 0
}
