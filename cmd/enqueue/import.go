package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"waybill/internal/importer"
	"waybill/internal/settings"
)

// deliver puts the input into the queue.
func (p *program) deliver(ctx context.Context, s settings.Settings, in input) error {
	if err := s.RequireDatabase(); err != nil {
		return err
	}
	door, err := importer.OpenPostgres(ctx, s.DatabaseURL.Reveal())
	switch {
	case errors.Is(err, importer.ErrURL):
		return &settings.Error{Problems: []settings.Problem{{
			Variable: "DATABASE_URL", What: err.Error(), Fix: "set postgres://user:password@host:5432/database",
		}}}
	case err != nil && ctx.Err() != nil:
		return importer.ErrInterrupted
	case err != nil:
		return err
	}
	defer door.Close()

	job := importing{program: p, input: in, door: door, out: p.stdout}
	door.Waiting = func(err error) {
		job.resent = true
		job.progress.clear()
		say(p.stderr, "", fmt.Sprintf("%v; trying again for a minute", err))
	}
	so, err := job.run(ctx)
	return job.explain(so, err)
}

// skip is what happens while analytics are off: every bundle is counted, none is sent.
func (p *program) skip(ctx context.Context, in input) error {
	say(p.stderr, "", "analytics are off (ANALYTICS_ENABLED is false): nothing is enqueued")
	job := importing{program: p, input: in, door: off{}, out: p.stdout}
	if _, err := job.run(ctx); !errors.Is(err, errRefused) {
		return err
	}
	return nil // nothing was to be sent, so nothing is missing
}

// off is the door while analytics are off.
type off struct{}

func (off) Enqueue(_ context.Context, bundles []importer.Bundle) ([]importer.Answer, error) {
	answers := make([]importer.Answer, len(bundles))
	for i := range answers {
		answers[i] = importer.Answer{Outcome: importer.Skipped, Reason: "ANALYTICS_ENABLED is false"}
	}
	return answers, nil
}

// importing is one input on its way through a door.
type importing struct {
	*program
	input input
	door  importer.Door
	out   io.Writer // where the result goes

	report   *report
	progress *progress
	resent   bool // an answer was lost, and its batch sent again
}

// run brings the input through the door and prints the result. The error is
// errRefused if that is all there is to say.
func (job *importing) run(ctx context.Context) (importer.Summary, error) {
	started := job.now()
	job.progress = job.newProgress(job.input)
	var err error
	if job.report, err = openReport(job.program, job.input, job.progress); err != nil {
		return importer.Summary{}, err
	}
	im := importer.Importer{Door: job.door, Now: job.now, Settled: job.report.settled, Progress: job.advance}
	so, err := im.Run(ctx, job.input.reader)
	job.progress.clear()
	if failed := job.report.close(); err == nil {
		err = failed
	}
	job.summarise(so, job.now().Sub(started), err == nil)
	if err == nil && so.Rejected > 0 {
		err = errRefused
	}
	return so, err
}

func (job *importing) advance(bytes int64, so importer.Summary) {
	job.report.flush()
	job.progress.advance(bytes, so)
}

// explain adds to an error how far the import of a file came.
func (job *importing) explain(so importer.Summary, err error) error {
	var database *importer.Failure
	switch {
	case err == nil, errors.Is(err, errRefused), job.input.single:
		return err
	case so.Lines == 0 && !errors.As(err, &database):
		return err // it never began
	}
	return &stopped{lines: so.Lines, cause: err}
}

// stopped is an import that did not come to the end of its input.
type stopped struct {
	lines int // settled
	cause error
}

func (s *stopped) Error() string { return s.cause.Error() }
func (s *stopped) Unwrap() error { return s.cause }

// advice says where it stopped, and that the way on is to run it again.
func (s *stopped) advice() string {
	done := "Nothing is known to be committed."
	if s.lines > 0 {
		done = fmt.Sprintf("Committed up to line %d.", s.lines)
	}
	return done + " Running it again is safe: what is there already is a duplicate, and it goes on from there."
}
