// Package watch serves the page of a suite while it is run: the progress of every experiment,
// and the report of what is finished. It reads the run store, which other processes write,
// and writes nothing. It listens on a loopback address only (see [Listen]) and answers only
// its own page.
package watch

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bittern/reports"
	"bittern/reports/page"
)

// Options say what a server shows.
type Options struct {
	// Runs is the folder of the run store, which need not exist yet.
	Runs string
	// Suite is the one that is shown; empty for the one that was run last, with
	// links to the others.
	Suite string
	// Entries are what the suite lists; nil where it is known by its name alone.
	Entries []reports.Entry
	// Command is how the suite is run, for those who find nothing.
	Command string
}

// Server serves one page.
type Server struct {
	source source
	ended  atomic.Bool
	asked  atomic.Int64 // when the state was asked for last, in nanoseconds since 1970
	told   chan struct{}
	once   sync.Once // closes told
}

// New makes a server.
func New(options Options) *Server {
	return &Server{source: source{options: options}, told: make(chan struct{})}
}

// Serve answers until ctx is done.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.page)
	mux.HandleFunc("/state", s.state)
	server := &http.Server{
		Handler:           guard(listener.Addr(), mux),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	stop := context.AfterFunc(ctx, func() {
		_ = server.Close() // ends what waits for its answer too; Serve tells what else goes wrong
	})
	defer stop()
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, s.source.close())
}

// lookedAt is how long a page counts as open after its last request, and lingering how long
// [Server.End] waits for another request. The script sends one every second.
const (
	lookedAt  = 3 * time.Second
	lingering = 3 * time.Second
)

// End says that the run is over. It returns when an open page has been told so, or if no page
// is open.
func (s *Server) End() {
	s.ended.Store(true)
	if time.Since(time.Unix(0, s.asked.Load())) > lookedAt {
		return
	}
	select {
	case <-s.told:
	case <-time.After(lingering):
	}
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	shown := s.source.read(r.Context(), r.URL.Query().Get("suite"))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", page.LivePolicy+"; frame-ancestors 'none'")
	if err := shown.Write(w); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// State is what the script of the page asks for.
type State struct {
	// Parts are the parts of the page by their names. Parts that the page has already
	// come without their HTML.
	Parts map[string]page.Part `json:"parts"`
	Ended bool                 `json:"ended"` // nothing will change any more
}

// state answers with the state. The hashes of the parts that the page has stand in the
// query as known.
func (s *Server) state(w http.ResponseWriter, r *http.Request) {
	s.asked.Store(time.Now().UnixNano())
	ended := s.ended.Load() // before reading, so that what is read is the end
	query := r.URL.Query()
	parts, err := s.source.read(r.Context(), query.Get("suite")).Parts()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	changed := make(map[string]page.Part)
	for name, part := range parts {
		if slices.Contains(query["known"], part.Hash) {
			part.HTML = ""
		}
		changed[name] = part
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(State{Parts: changed, Ended: ended}); err != nil {
		return // the page is gone
	}
	if ended {
		s.once.Do(func() { close(s.told) })
	}
}
