// Package events also holds recipes, written by hand. A recipe decides which events
// one action of the business makes and what is newly known about whom. It does no
// I/O: what it returns goes into the transaction of the action, by one call of Track.
//
//	actor, happened := events.MessageSent(message)
//	_, err := client.Track(ctx, tx, actor, happened...)
package events

import (
	"time"
	"unicode/utf8"

	"waybill"
)

// Attribution is where a new user came from, as far as it is known. Empty fields are
// left out: an unknown source is not a direct one.
type Attribution struct {
	Source, Medium, Campaign string // utm_source and so on
	Referrer                 string // host and path; a query may be personal
	LandingPage              string // path
}

// Signup is a new user, who signed up at the given time.
func Signup(user UserID, at time.Time, from Attribution) (waybill.Actor, []waybill.Trackable) {
	status := AttributionStatusKnown
	if from == (Attribution{}) {
		status = AttributionStatusUnknown
	}
	e := SignupCompleted(user).AttributionStatus(status)
	for _, part := range []struct {
		value string
		set   func(SignupCompletedEvent, string) SignupCompletedEvent
	}{
		{from.Source, SignupCompletedEvent.UTMSource},
		{from.Medium, SignupCompletedEvent.UTMMedium},
		{from.Campaign, SignupCompletedEvent.UTMCampaign},
		{from.Referrer, SignupCompletedEvent.Referrer},
		{from.LandingPage, SignupCompletedEvent.LandingPage},
	} {
		if part.value != "" {
			e = part.set(e, part.value)
		}
	}
	return waybill.User(string(user)).With(SetUserSignupDate(at)), []waybill.Trackable{e.At(at)}
}

// Place is where a user works, with the levels that are known.
type Place interface{ Groups() []waybill.Group }

// Login is a user who logged in, and the account hierarchy they came to, which
// is established on the way: unchanged levels cost nothing.
func Login(user UserID, session SessionID, in Place) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)).In(in.Groups()...), []waybill.Trackable{UserLoggedIn(session)}
}

// Entered is a user who came to another place of the hierarchy, for Client.Identify:
// there is nothing to track. A level is known to Amplitude from then on, with what is
// newly known about it. The visit names the one time, so that each is recorded once.
func Entered(user UserID, visit string, in Place) (key string, who waybill.Actor) {
	return actionKey("place_entered", visit), waybill.User(string(user)).In(in.Groups()...)
}

// Message is one message of a user to a companion.
type Message struct {
	ID           MessageID
	User         UserID
	Channel      Channel
	Persona      Persona
	Mode         ChatMode
	Text         string // only its length leaves the house
	Participants int
	Phone        waybill.Token
	Chat         waybill.Token
}

// MessageSent is a message, and the first contact and the choice of the companion
// that it may be: their action keys see to it that each is told once. The message
// stands first because counters go with the first event of a call, and it is strict in
// the plan, as they then are too.
func MessageSent(m Message) (waybill.Actor, []waybill.Trackable) {
	sent := MessageSentUser(m.ID, m.Channel, m.Persona).
		Mode(m.Mode).
		TextLength(utf8.RuneCountInString(m.Text)).
		ParticipantsCount(max(m.Participants, 1))
	if !m.Phone.IsZero() {
		sent = sent.Phone(m.Phone)
	}
	if !m.Chat.IsZero() {
		sent = sent.ChatGuid(m.Chat)
	}
	actor := waybill.User(string(m.User)).With(
		AddUserTotalMessagesSent(1), SetUserPrimaryChannel(m.Channel), SetUserPrimaryPersona(m.Persona),
	)
	return actor, []waybill.Trackable{
		sent,
		UserDiscovered(m.User, m.Channel).PersonaID(m.Persona),
		PersonaSelected(m.User, m.Persona).Channel(m.Channel),
	}
}

// SessionGap is the silence after which a conversation is over.
const SessionGap = 30 * time.Minute

// SessionOver reports whether a message at now begins a new conversation.
func SessionOver(last, now time.Time) bool { return now.Sub(last) > SessionGap }

// SessionEnded is a conversation from its first to its last message.
func SessionEnded(user UserID, id ConversationID, first, last time.Time, messages int) (waybill.Actor, []waybill.Trackable) {
	ended := ConversationEnded(id).DurationSeconds(int(last.Sub(first).Seconds())).MessagesCount(messages)
	return waybill.User(string(user)), []waybill.Trackable{ended.At(last)}
}

// SessionStarted is the first message of a conversation.
func SessionStarted(user UserID, id ConversationID, on Channel, first time.Time) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)), []waybill.Trackable{ConversationStarted(id, on).At(first)}
}

// Connected is an outside account that a user connected.
func Connected(user UserID, id IntegrationID, kind Integration, at time.Time) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)).With(connection(kind, true)), []waybill.Trackable{IntegrationConnected(id, at, kind).At(at)}
}

// Disconnected is an outside account that is no longer connected.
func Disconnected(user UserID, id IntegrationID, kind Integration, at time.Time) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)).With(connection(kind, false)), []waybill.Trackable{IntegrationDisconnected(id, at, kind).At(at)}
}

func connection(kind Integration, connected bool) waybill.Trait {
	if kind == IntegrationCalendar {
		return SetUserCalendarConnected(connected)
	}
	return SetUserGmailConnected(connected)
}
