package jobs

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"waybill/internal/bundle"
)

// BenchmarkPlan plans what one request holds: bundles with a trait, two groups and an
// event each. Known profiles elide everything but the events.
func BenchmarkPlan(b *testing.B) {
	items := make([]*item, 500)
	for i := range items {
		parsed, err := bundle.Parse(fmt.Appendf(nil, `{"v":1,"key":"order:%d:completed","user_id":"usr_%d",
			"identify":{"set":{"plan":"pro","seats":5}},
			"groups":[{"type":"account","id":"acc_%d","set":{"name":"Acme"}},{"type":"workspace","id":"ws_%d","parent":"acc_%d"}],
			"track":{"event":"Order_Completed","properties":{"total_cents":1299,"currency":"EUR"}}}`, i, i, i%50, i%100, i%50))
		if err != nil {
			b.Fatal(err)
		}
		items[i] = &item{id: int64(i + 1), bundle: parsed, at: epoch.Add(time.Duration(i) * time.Millisecond)}
	}
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known=%v", known), func(b *testing.B) {
			base := map[identity]*profile{}
			if known {
				p := newPlanner("w", epoch, base)
				for _, it := range items {
					p.add(it)
				}
				p.accepted()
			}
			b.ReportAllocs()
			var bytes int
			for b.Loop() {
				p := newPlanner("w", epoch, base)
				bytes = 0
				for _, it := range items {
					for _, event := range p.add(it) {
						bytes += len(event)
					}
				}
			}
			b.SetBytes(int64(bytes))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(items)), "ns/bundle")
		})
	}
}

func BenchmarkAppendString(b *testing.B) {
	for name, s := range map[string]string{"plain": "order:8412:completed", "escaped": "größe \"x\"\n"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 256)
			for b.Loop() {
				dst = appendString(dst[:0], s)
			}
		})
	}
}

func BenchmarkAppendObject(b *testing.B) {
	var all members
	for i := range 10 {
		all.add(fmt.Sprint("name", i), json.RawMessage(`"value"`))
	}
	b.ReportAllocs()
	dst := make([]byte, 0, 1024)
	for b.Loop() {
		dst = appendObject(dst[:0], all)
	}
}

// BenchmarkSplit finds one unnamed poison.
func BenchmarkSplit(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := newSplitter(n)
				for at := s.next(); at != nil; at = s.next() {
					if at[0] <= n/3 && n/3 <= at[len(at)-1] {
						s.refused(400)
					} else {
						s.accepted()
					}
				}
			}
		})
	}
}
