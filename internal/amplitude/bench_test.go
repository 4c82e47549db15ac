package amplitude

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkClassify reads answers to a request of 1,000 events.
func BenchmarkClassify(b *testing.B) {
	named := make([]string, 10)
	for i := range named {
		named[i] = fmt.Sprint(100 * i)
	}
	for _, c := range []struct {
		name   string
		status int
		body   string
	}{
		{"delivered", http.StatusOK, `{"code":200,"events_ingested":1000,"payload_size_bytes":500000,"server_upload_time":1396381378123}`},
		{"named", http.StatusBadRequest, `{"code":400,"error":"Invalid event","events_with_invalid_fields":{"time":[` + strings.Join(named, ",") + `]}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if answer := classify(c.status, nil, []byte(c.body), 1000); len(answer.Rejected) != 10 && answer.Verdict != Delivered {
					b.Fatal(answer)
				}
			}
		})
	}
}

// BenchmarkCompress makes the body of a request of 1,000 events.
func BenchmarkCompress(b *testing.B) {
	events := make([]json.RawMessage, 1000)
	for i := range events {
		events[i] = fmt.Appendf(nil, `{"event_type":"Order_Completed","user_id":"usr_%d","device_id":"srv:usr_%d","time":%d,"insert_id":"abc:order:%d:track",`+
			`"event_properties":{"order_id":"ord_%d","total_cents":%d,"channel":"storefront","payment_method":"card"},"groups":{"account":"acc_%d"}}`,
			i, i, 1790000000000+i, i, i, 1000+i*7%900, i%50)
	}
	e := newEnvelope("key")
	b.SetBytes(int64(e.size(events)))
	b.ReportAllocs()
	for b.Loop() {
		if err := e.compress(events).Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/bundle")
}
