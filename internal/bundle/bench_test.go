package bundle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
)

// BenchmarkWorker is what a worker spends on one stored bundle of about 600
// bytes before it sends it.
func BenchmarkWorker(b *testing.B) {
	data := golden(b, "full.json")
	b.Run("Clean", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := bundle.Clean(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bundle.Parse(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Refusals", func(b *testing.B) {
		parsed, err := bundle.Parse(data)
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if r := parsed.Refusals(noon); r != nil {
				b.Fatal(r)
			}
		}
	})
	b.Run("AppendJSON", func(b *testing.B) {
		parsed, err := bundle.Parse(data)
		require.NoError(b, err)
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			if buf, err = parsed.AppendJSON(buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
