package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/live"
	"bittern/reports/page"
)

// source reads what the page shows. What was read a moment ago is used again, so that
// many open pages cost no more than one.
type source struct {
	options Options

	mu       sync.Mutex
	runs     *store.Store
	file     os.FileInfo // of the database that is open
	follower *live.Follower
	shown    map[string]remembered // by the suite that was asked for
	results  map[string]finished   // by the suite's name
}

type remembered struct {
	page.Live
	at time.Time
}

// finished is the page of a report, and what of the suite it was made of.
type finished struct {
	of   string
	page *page.Page
}

// fresh is how long what was read is used again, and mostRemembered of how many suites it
// is kept: a browser may ask for any name.
const (
	fresh          = 500 * time.Millisecond
	mostRemembered = 100
)

// read says what to show of a suite; asked may be empty. What cannot be read is part of
// what is shown, for the next look may find it mended.
func (s *source) read(ctx context.Context, asked string) page.Live {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.shown[asked]; ok && time.Since(known.at) < fresh {
		return known.Live
	}
	shown, err := s.look(context.WithoutCancel(ctx), asked) // others use it too
	if err != nil {
		if known, ok := s.shown[asked]; ok {
			shown = known.Live // old, which the problem says
		}
		shown.Problem = err.Error()
		// The database may have been replaced, or need what only opening it does.
		err = s.shut()
	}
	if err != nil {
		shown.Problem += "; " + err.Error()
	}
	if s.shown == nil || len(s.shown) > mostRemembered {
		s.shown = make(map[string]remembered)
	}
	s.shown[asked] = remembered{shown, time.Now()}
	return shown
}

func (s *source) look(ctx context.Context, asked string) (page.Live, error) {
	shown := page.Live{Suite: live.Suite{Name: s.options.Suite}}
	path := filepath.Join(s.options.Runs, store.FileName)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		shown.Waiting = fmt.Sprintf("There is no run store at %s yet. It will be shown here as soon as you run: %s", path, s.options.Command)
		return shown, s.shut()
	}
	if err != nil {
		return shown, plugins.Problemf("the run store at %s cannot be read: %s", path, err)
	}
	if s.runs != nil && !os.SameFile(info, s.file) {
		if err := s.shut(); err != nil {
			return shown, err
		}
	}
	if s.runs == nil {
		if s.runs, err = store.OpenExisting(ctx, s.options.Runs); err != nil {
			return shown, err
		}
		s.file, s.follower, s.results = info, live.NewFollower(s.runs), make(map[string]finished)
	}
	name := s.options.Suite
	if name == "" {
		var last string
		if shown.Suites, last, err = s.follower.Suites(ctx); err != nil {
			return shown, err
		}
		if name = asked; !slices.Contains(shown.Suites, name) {
			name = last
		}
	}
	if shown.Suite, err = s.follower.Read(ctx, name, s.options.Entries); err != nil {
		return shown, err
	}
	if len(shown.Suite.Experiments) == 0 {
		shown.Waiting = fmt.Sprintf("Nothing of the suite was run into %s yet. It will be shown here as soon as you run: %s", s.options.Runs, s.options.Command)
		return shown, nil
	}
	shown.Results, err = s.result(ctx, shown.Suite)
	return shown, err
}

// result is the page of what is finished of a suite, made again where that has changed.
func (s *source) result(ctx context.Context, suite live.Suite) (*page.Page, error) {
	of := ""
	for _, e := range suite.Experiments {
		of += fmt.Sprintln(e.ID, e.Trained, e.Finished, e.Phase == live.Failed, e.Deployed, e.Reason)
	}
	if known := s.results[suite.Name]; known.of == of {
		return known.page, nil
	}
	report, err := reports.Collect(ctx, s.runs, suite.Name, reports.Selection{Entries: s.options.Entries})
	if err != nil {
		return nil, err
	}
	made, err := page.New(report, reports.View{})
	if err != nil {
		return nil, err
	}
	s.results[suite.Name] = finished{of, made}
	return made, nil
}

// shut closes the run store, so that the next look opens it again.
func (s *source) shut() error {
	if s.runs == nil {
		return nil
	}
	err := s.runs.Close()
	s.runs, s.file, s.follower, s.results = nil, nil, nil, nil
	return err
}

func (s *source) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut()
}
