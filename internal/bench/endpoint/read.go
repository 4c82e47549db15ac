package endpoint

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"github.com/tidwall/gjson"
)

// event is what is looked at of one.
type event struct{ kind, insertID string }

func (e event) isTrack() bool { return !strings.HasPrefix(e.kind, "$") }

// read unpacks an upload and checks its shape: gzip, JSON, a key, events that each have a type, a device and an
// insert_id. size is that of the JSON.
func read(packed []byte) (events []event, size int, err error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, 0, fmt.Errorf("not gzip: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(unpacked, maxBody+1))
	if err != nil {
		return nil, 0, err
	}
	switch {
	case len(body) > maxBody:
		return nil, 0, errors.New("too large")
	case !gjson.ValidBytes(body):
		return nil, 0, errors.New("not JSON")
	}
	envelope := gjson.ParseBytes(body)
	if envelope.Get("api_key").String() == "" {
		return nil, 0, errors.New("no api_key")
	}
	envelope.Get("events").ForEach(func(_, one gjson.Result) bool {
		e := event{one.Get("event_type").String(), one.Get("insert_id").String()}
		if e.kind == "" || e.insertID == "" || one.Get("device_id").String() == "" {
			err = fmt.Errorf("event %d lacks event_type, device_id or insert_id", len(events))
			return false
		}
		events = append(events, e)
		return true
	})
	if err == nil && len(events) == 0 {
		err = errors.New("no events")
	}
	return events, len(body), err
}

// refusals are the indexes of events whose bundle is among the percentage that is refused. What cannot be read is
// found out later.
func refusals(packed []byte, percent int) (indexes []int) {
	events, _, err := read(packed)
	if err != nil {
		return nil
	}
	for i, e := range events {
		if e.isTrack() && Refuses(e.insertID, percent) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// Refuses says whether an event with this insert_id is refused, at so many percent.
func Refuses(insertID string, percent int) bool {
	_, key, _ := strings.Cut(insertID, ":") // without the word of the installation
	h := fnv.New32a()
	_, _ = io.WriteString(h, key)
	return int(h.Sum32()%100) < percent
}
