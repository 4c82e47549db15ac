package jobs

import (
	"fmt"
	"testing"
	"time"

	"waybill/internal/bundle"
)

// BenchmarkPack packs a full request of bundles whose traits are known already.
func BenchmarkPack(b *testing.B) {
	items := make([]*item, batchMost)
	for i := range items {
		parsed, err := bundle.Parse(fmt.Appendf(nil, `{"v":1,"key":"k%d","user_id":"u%d","identify":{"set":{"plan":"pro"}},"track":{"event":"Bought"}}`, i, i/10))
		if err != nil {
			b.Fatal(err)
		}
		items[i] = &item{id: int64(i + 1), bundle: parsed, at: epoch.Add(time.Duration(i) * time.Millisecond)}
	}
	limits := requestLimits{events: 2000, bytes: 20 << 20}
	known := batchOf(items...)
	known.pack("w", items, limits)
	known.send.first.plan.accepted()
	b.ReportAllocs()
	for b.Loop() {
		out := &sorted{behind: map[int64][]ref{}}
		out.send.now, out.send.base = epoch, known.send.base
		out.pack("w", items, limits)
		if len(out.send.items) != len(items) {
			b.Fatal(len(out.send.items))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(items)), "ns/bundle")
}
