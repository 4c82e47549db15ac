package amplitudetest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkIngest reports events per second through the whole handler, gunzip included. The fake has to outrun the
// worker that it is measured against.
func BenchmarkIngest(b *testing.B) {
	const perRequest = 500
	for name, cfg := range map[string]Config{"everything": {}, "counts only": {CountsOnly: true}} {
		b.Run(name, func(b *testing.B) {
			f := New(cfg)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				r := httptest.NewRequest(http.MethodPost, "/batch", compressedEvents(n, perRequest))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Content-Encoding", "gzip")
				w := httptest.NewRecorder()
				b.StartTimer()
				f.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Body.String())
				}
				n += perRequest
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func compressedEvents(from, n int) *bytes.Buffer {
	var text bytes.Buffer
	text.WriteString(`{"api_key":"k","events":[`)
	for i := from; i < from+n; i++ {
		if i > from {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"event_type":"Order_Completed","user_id":"usr_%d","device_id":"srv:usr_%d","time":1790000000000,`+
			`"insert_id":"a8f3k2:order:%d:completed:track","event_id":%d,"platform":"web","event_properties":{"total_cents":%d,`+
			`"report_type":"custom","template":true},"groups":{"account":"acc_%d","workspace":"ws_%d"}}`,
			i%50_000, i%50_000, i, i, i*7, i%100, i%300)
	}
	text.WriteString(`],"options":{"min_id_length":1}}`)
	return gzipped(text.String())
}
