package amplitude_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
)

const apiKey = "4b3a59e1c0ffee00"

// service is a Client and the fake that it talks to.
func service(t *testing.T, cfg amplitudetest.Config, api amplitude.API) (*amplitude.Client, *amplitudetest.Fake) {
	t.Helper()
	cfg.APIKeys = []string{apiKey}
	fake := amplitudetest.Start(t, cfg)
	client, err := amplitude.New(amplitude.Config{APIKey: apiKey, Endpoint: fake.URL, API: api})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client, fake
}

// untilFirstByte is a context that ends when an answer begins: the impatient client of a slow server.
func untilFirstByte(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: cancel})
}

// event is a valid event of user n; changes are JSON fields that override its own.
func event(n int, changes ...string) json.RawMessage {
	fields := map[string]json.RawMessage{
		"event_type": []byte(`"Order_Completed"`), "user_id": fmt.Appendf(nil, `"usr_%d"`, n),
		"device_id": fmt.Appendf(nil, `"srv:usr_%d"`, n), "insert_id": fmt.Appendf(nil, `"i:%d:track"`, n),
		"time": []byte("1790000000000"),
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, ":")
		fields[name] = []byte(value)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return text
}

// TestVerdictsOfTheService lets the service misbehave in every way it can and holds each verdict against what the
// service did with the events: what it took must never read as certainly not taken.
func TestVerdictsOfTheService(t *testing.T) {
	t.Parallel()
	want := map[amplitudetest.Kind]amplitude.Verdict{
		amplitudetest.None:            amplitude.Delivered,
		amplitudetest.TooManyRequests: amplitude.SlowDown,
		amplitudetest.Throttle:        amplitude.Throttled,
		amplitudetest.DailyQuota:      amplitude.Throttled,
		amplitudetest.InternalError:   amplitude.Ambiguous,
		amplitudetest.BadGateway:      amplitude.Ambiguous,
		amplitudetest.Unavailable:     amplitude.Unavailable,
		amplitudetest.GatewayTimeout:  amplitude.Ambiguous,
		amplitudetest.StoredLost:      amplitude.Ambiguous,
		amplitudetest.StoredLate:      amplitude.Ambiguous,
		amplitudetest.Reset:           amplitude.Ambiguous,
		amplitudetest.Trickle:         amplitude.Ambiguous,
		amplitudetest.HTMLPage:        amplitude.Refused,
		amplitudetest.PayloadTooLarge: amplitude.TooLarge,
		amplitudetest.FirstIndex:      amplitude.Delivered,
		amplitudetest.BadRequest:      amplitude.Refused,
		amplitudetest.Forbidden:       amplitude.Refused,
		amplitudetest.InvalidKey:      amplitude.KeyRefused,
		amplitudetest.OtherShape:      amplitude.WrongEndpoint,
		amplitudetest.Redirect:        amplitude.WrongEndpoint,
	}
	require.Len(t, want, len(amplitudetest.Kinds())+1)
	for kind, verdict := range want {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			client, fake := service(t, amplitudetest.Config{}, amplitude.Batch)
			fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: kind, Stored: verdict == amplitude.Ambiguous}, Times: 1})

			ctx := t.Context()
			if kind == amplitudetest.Trickle {
				ctx = untilFirstByte(ctx)
			}
			answer := client.Upload(ctx, []json.RawMessage{event(1), event(2)})
			require.Equal(t, verdict, answer.Verdict, answer.Reason)
			require.Equal(t, fake.Requests()[0].Bytes, answer.Bytes)
			require.Equal(t, fake.Requests()[0].WireBytes, answer.WireBytes)
			require.Len(t, fake.Requests(), 1, "one upload is one request")
			require.NotContains(t, answer.Reason, apiKey)
			fake.Settle()
			if fake.Total() > 0 {
				require.True(t, answer.MaybeAccepted())
			}

			require.Equal(t, amplitude.Delivered, client.Upload(t.Context(), []json.RawMessage{event(1), event(2)}).Verdict)
			require.Equal(t, 2, fake.Total())
			require.Zero(t, fake.Stats().StoredTwice)
		})
	}
}

func TestServiceNamesTheEventsAtFault(t *testing.T) {
	t.Parallel()
	events := []json.RawMessage{
		event(0), event(1, `time:"yesterday"`), event(2, `event_type:""`), event(3, `user_id:"none"`), event(4), event(5, `time:1.5`),
	}
	client, _ := service(t, amplitudetest.Config{}, amplitude.HTTP)
	answer := client.Upload(t.Context(), events)
	require.Equal(t, amplitude.Rejected, answer.Verdict)
	require.Equal(t, map[int]string{
		1: "time: invalid field", 2: "event_type: missing field", 3: "user_id: invalid field", 5: "time: invalid field",
	}, answer.Rejected)

	client, _ = service(t, amplitudetest.Config{FirstIndexOnly: true}, amplitude.HTTP)
	answer = client.Upload(t.Context(), events)
	require.Equal(t, amplitude.Rejected, answer.Verdict)
	require.NotContains(t, answer.Rejected, 5, "only the first of a kind")
}

func TestServiceNamesSilencedDevices(t *testing.T) {
	t.Parallel()
	client, fake := service(t, amplitudetest.Config{}, amplitude.Batch)
	fake.Silence("srv:usr_1")
	answer := client.Upload(t.Context(), []json.RawMessage{event(0), event(1)})
	require.Equal(t, amplitude.Rejected, answer.Verdict)
	require.Equal(t, map[int]string{1: "silenced device"}, answer.Rejected)
}

func TestServiceNamesWhoIsThrottled(t *testing.T) {
	t.Parallel()
	hot := make([]json.RawMessage, 31)
	for i := range hot {
		hot[i] = event(1)
	}
	client, _ := service(t, amplitudetest.Config{EPS: 1}, amplitude.HTTP)
	answer := client.Upload(t.Context(), append(hot, event(2)))
	require.Equal(t, amplitude.Throttled, answer.Verdict)
	require.Equal(t, map[string]bool{"usr_1": false}, answer.ThrottledUsers)
	require.Equal(t, map[string]bool{"srv:usr_1": false}, answer.ThrottledDevices)
	require.Len(t, answer.ThrottledEvents, 31)
	require.Equal(t, 1, answer.EPSThreshold)

	client, _ = service(t, amplitudetest.Config{DailyQuota: 30}, amplitude.Batch)
	answer = client.Upload(t.Context(), append(hot, event(2)))
	require.Equal(t, amplitude.Throttled, answer.Verdict)
	require.Equal(t, map[string]bool{"usr_1": true}, answer.ThrottledUsers)
	require.Equal(t, map[string]bool{"srv:usr_1": true}, answer.ThrottledDevices)
}

func TestServiceAcceptsShortIDs(t *testing.T) {
	t.Parallel()
	for _, api := range []amplitude.API{amplitude.Batch, amplitude.HTTP} {
		client, fake := service(t, amplitudetest.Config{}, api)
		answer := client.Upload(t.Context(), []json.RawMessage{event(1, `user_id:"u"`, `device_id:"d"`)})
		require.Equal(t, amplitude.Delivered, answer.Verdict, answer.Reason)
		require.Equal(t, 1, fake.CountByUser("u"))
	}
}
