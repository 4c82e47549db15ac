package amplitudetest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
)

// reply is an answer before it is written.
type reply struct {
	status      int
	contentType string // empty means JSON
	body        []byte
	header      http.Header

	cut     bool // close the connection instead of answering
	trickle bool // one byte at a time
}

func jsonReply(status int, fields map[string]any) *reply {
	fields["code"] = status
	body, err := json.Marshal(fields)
	if err != nil {
		panic("amplitudetest: an answer cannot be marshalled: " + err.Error())
	}
	return &reply{status: status, body: body}
}

// badRequest is a 400 that names no event. The detail is the fake's own, for whoever has to find out why.
func badRequest(text, detail string) *reply {
	fields := map[string]any{"error": text}
	if detail != "" {
		fields["detail"] = detail
	}
	return jsonReply(http.StatusBadRequest, fields)
}

func missingField(name string) *reply {
	return jsonReply(http.StatusBadRequest, map[string]any{"error": errorMissingField, "missing_field": name})
}

// invalidKey repeats the key, as Amplitude does.
func invalidKey(key string) *reply { return badRequest(errorKey+": "+key, "") }

func payloadTooLarge() *reply {
	return jsonReply(http.StatusRequestEntityTooLarge, map[string]any{"error": "Payload too large"})
}

// logStatus is the status that the client gets to see, 0 for none.
func (r *reply) logStatus() int {
	if r.cut {
		return 0
	}
	return r.status
}

func (r *reply) write(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", cmp.Or(r.contentType, "application/json"))
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) //nolint:gosec // JSON, or pages without anything from the request
}

func invalidPath(w http.ResponseWriter, _ *http.Request) { badRequest(errorPath, "").write(w) }
