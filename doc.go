// Package waybill records product-analytics events in the same Postgres
// transaction as the business write they describe. If the transaction commits,
// the event is delivered to Amplitude, once; if it rolls back, it never was.
//
// # What it does
//
// An event, with what is known about its user and about the accounts the user
// acted in, is stored as one bundle and one job by a single statement on the
// caller's own transaction. Nothing else happens here: no connection, no
// goroutine, no network. Delivery is the work of the worker program, which
// alone knows the API key.
//
// # Where to start
//
// [New] makes a [Client] for transactions of pgx, [NewSQL] one for database/sql.
// [Client.Track] is the function to know:
//
//	receipt, err := client.Track(ctx, tx,
//		waybill.User(user.ID).In(waybill.Account(account.ID)),
//		waybill.Event{Name: "Order_Completed", Key: "order:" + order.ID + ":completed"})
//
// An [Actor] says who did it. An [Event] is a plain value; typed events, written
// by hand or generated, need one method to be one ([Trackable]).
// [Client.Identify] stores traits and groups without an event.
//
// # Action keys
//
// [Event.Key] names the business action and is the reason why it is counted
// once: a key that is already known is a [Duplicate], after a retried request, a
// second code path or a backfill, a year later or in the same call. Good keys are
// made of the business's own ids and the thing that happened to them:
//
//	order:8412:completed    invoice:2026-11:acc_1:paid    user:42:signed_up
//
// A random key or one with the current time in it counts every retry. A key
// without the verb lets two different events of one order hide each other. Where
// an action may really be repeated, the key holds what tells the repetitions
// apart: login:<session id>. A key may have 256 bytes and appears in logs and
// operator pages, so it holds no personal data.
//
// Two open transactions with one key wait for each other, as they would on any
// unique row.
//
// # What is promised
//
// Atomic: the event exists if and only if the transaction committed.
//
// Once: one key is one event, held by a unique constraint.
//
// No surprise: values are made JSON and checked before any SQL. NUL characters
// and invalid UTF-8 are replaced, strings of more than 1,024 characters cut, and
// both counted in the [Receipt]; NaN, cycles, values nested too deeply and
// panicking MarshalJSON methods are refused. None of it can abort the
// transaction.
//
// Nothing is implicit: a user's traits are those given to [Actor.With], and no
// other. Nobody is identified because they were tracked.
//
// # Strict and best effort
//
// A [Client] is strict. What cannot be recorded is an error, nothing of the call
// is sent, and the transaction is still usable: the caller decides whether the
// business write stands without its event. Errors of the database are returned
// too and, as always in Postgres, leave only rollback.
//
// [Client.BestEffort] is for events that must never matter to the product. Its
// calls return no error and leave the transaction usable whatever happens inside
// Postgres, at the price of a savepoint. Events that a tracking plan makes best effort
// are so through every client: the plan decides once, and not each call.
//
// # Round trips
//
// A call is one statement however many events it has, up to 10,000 of them; two if some
// are strict and others best effort.
// With pgx's default settings the first call on a connection costs one round
// trip more, to prepare it; any mode of pgx will do, and so will a pooler in
// transaction mode, which needs QueryExecModeExec or a pooler that keeps track
// of prepared statements. Best effort is one round trip on pgx and three on
// database/sql.
package waybill
