package events

import (
	"context"
	"errors"
	"time"

	"waybill"
)

// ErrorTypeOf sorts an error. Its words stay here: they may quote anyone.
func ErrorTypeOf(err error) ErrorType {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ErrorTypeTimeout
	case errors.Is(err, context.Canceled):
		return ErrorTypeUnavailable
	}
	return ErrorTypeUnknown
}

// DeliveryFailed is a message that did not reach its user at the given attempt.
func DeliveryFailed(user UserID, id MessageID, attempt int, on Channel, err error) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)), []waybill.Trackable{MessageDeliveryFailed(id, attempt, on, ErrorTypeOf(err))}
}

// RefreshFailed is the permission for an outside account that could not be renewed.
func RefreshFailed(user UserID, id IntegrationID, kind Integration, at time.Time, err error) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)), []waybill.Trackable{OAuthRefreshFailed(id, at, kind, ErrorTypeOf(err)).At(at)}
}

// SuperpowerFailed is something that a companion could not do for its user.
func SuperpowerFailed(user UserID, run SuperpowerRunID, superpower string, err error) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)), []waybill.Trackable{SuperpowerError(run, superpower, ErrorTypeOf(err))}
}
