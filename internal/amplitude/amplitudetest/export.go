package amplitudetest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// exportLag is how long after receipt an event is exported at the earliest
// (https://amplitude.com/docs/apis/analytics/export, "Considerations").
const exportLag = 2 * time.Hour

// export answers the Export API: a zip with one gzipped file of JSON lines per hour of receipt, in UTC.
func (f *Fake) export(w http.ResponseWriter, r *http.Request) {
	key, ok := f.authorized(w, r)
	if !ok {
		return
	}
	const form = "20060102T15"
	from, fromErr := time.Parse(form, r.URL.Query().Get("start"))
	to, toErr := time.Parse(form, r.URL.Query().Get("end"))
	if fromErr != nil || toErr != nil || to.Before(from) || to.Sub(from) > 365*24*time.Hour {
		http.Error(w, "start and end must be YYYYMMDDTHH, at most 365 days apart", http.StatusBadRequest)
		return
	}

	hours := make(map[time.Time][]*stored)
	label := ""
	f.ask(func(s *state) {
		p := s.project(key, f.cfg)
		label = p.label
		for e := range p.events.all {
			hour := e.receivedAt.UTC().Truncate(time.Hour)
			ready := !f.now().Before(hour.Add(time.Hour).Add(exportLag))
			if ready && !e.isProperty() && !hour.Before(from) && !hour.After(to) {
				hours[hour] = append(hours[hour], e)
			}
		}
	})
	if len(hours) == 0 {
		http.Error(w, "Raw data files were not found", http.StatusNotFound)
		return
	}

	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for hour := from; !hour.After(to); hour = hour.Add(time.Hour) {
		if len(hours[hour]) == 0 {
			continue
		}
		file, err := z.Create(fmt.Sprintf("%s_%s#0.json.gz", label, hour.Format("2006-01-02_15")))
		if err == nil {
			err = exportLines(file, hours[hour])
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	_ = z.Close()
	w.Header().Set("Content-Type", "application/zip")
	_, _ = w.Write(archive.Bytes())
}

// exportLines writes events under the names of the export, which differ from those of an upload.
func exportLines(w interface{ Write([]byte) (int, error) }, events []*stored) error {
	const form = "2006-01-02 15:04:05.000000"
	z := gzip.NewWriter(w)
	lines := json.NewEncoder(z)
	for _, e := range events {
		client := e.at
		if e.hasTime {
			client = time.UnixMilli(e.time)
		}
		received := e.receivedAt.UTC().Format(form)
		line := map[string]any{
			"$insert_id": e.insertID, "event_type": e.eventType, "user_id": nullable(e.userID), "device_id": e.device,
			"amplitude_id": e.user.amplitudeID, "event_id": e.eventID, "session_id": e.sessionID,
			"event_time": e.at.UTC().Format(form), "client_event_time": client.UTC().Format(form),
			"server_received_time": received, "server_upload_time": received, "processed_time": received,
			"event_properties": orNone(decodeObject(e.eventProperties)), "user_properties": orNone(e.properties),
			"groups": orNone(e.groups), "uuid": fmt.Sprintf("%08x-0000-4000-8000-000000000000", e.sequence),
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return z.Close()
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}
