package cluster

import (
	"context"
	"flag"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/storage"
)

// outage is how long the network is gone in TestTheNetworkIsGone, and longer if a worker needs
// longer to train without it.
var outage = flag.Duration("outage", 0, "how long the test without network is without it")

// wire is a network to a server, which can be cut.
type wire struct {
	server string // host and port

	mu          sync.Mutex
	whole       chan struct{} // closed while the wire is not cut
	refuses     bool          // connections, while it is cut
	connections []net.Conn
}

// newWire returns a wire and the URL of the server at its end.
func newWire(t *testing.T, server string) (*wire, string) {
	t.Helper()
	address, err := url.Parse(server)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{server: address.Host, whole: make(chan struct{})}
	close(w.whole)
	var carrying sync.WaitGroup
	carrying.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			carrying.Go(func() { w.connect(near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut(true)
		w.mend()
		carrying.Wait()
	})
	address.Host = listener.Addr().String()
	return w, address.String()
}

// connect carries a connection to the server, and back.
func (w *wire) connect(near net.Conn) {
	far, err := net.Dial("tcp", w.server)
	if err != nil {
		_ = near.Close()
		return
	}
	if !w.keep(near, far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.carry(far, near) })
	both.Go(func() { w.carry(near, far) })
	both.Wait()
}

// keep has connections closed when the wire is cut, or now if it is.
func (w *wire) keep(ends ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses {
		for _, c := range ends {
			_ = c.Close()
		}
		return false
	}
	w.connections = append(w.connections, ends...)
	return true
}

func (w *wire) carry(to io.WriteCloser, from io.ReadCloser) {
	defer to.Close()
	defer from.Close()
	part := make([]byte, 64<<10)
	for {
		n, err := from.Read(part)
		if err != nil {
			return
		}
		w.mu.Lock()
		whole := w.whole
		w.mu.Unlock()
		<-whole
		if _, err := to.Write(part[:n]); err != nil {
			return
		}
	}
}

// cut has nothing go through any more. Connections hang, as when a cable is pulled; or they are
// closed and no new ones are made, as when a router is started again.
func (w *wire) cut(closes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole, w.refuses = make(chan struct{}), closes
	if closes {
		for _, c := range w.connections {
			_ = c.Close()
		}
		w.connections = nil
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = false
	close(w.whole)
}

// lostLine is in what a worker says when its experiment is another's.
const lostLine = "given to another worker"

// cutOff is a worker in this process whose network is cut when it begins an experiment.
type cutOff struct {
	wire       *wire
	begun      chan struct{} // the network is cut
	end        chan string   // takes what the worker says when it is done with the experiment
	membership *membership
}

func startCutOff(t *testing.T, server string, closes bool) *cutOff {
	t.Helper()
	c := &cutOff{begun: make(chan struct{}), end: make(chan string, 1)}
	var through string
	c.wire, through = newWire(t, server)
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		err := work(ctx, through, func(w *Worker) {
			w.Log = func(line string) {
				switch {
				case strings.HasSuffix(line, ": begins"):
					c.membership = w.membership
					c.wire.cut(closes)
					close(c.begun)
				case strings.HasSuffix(line, ": finished"), strings.Contains(line, lostLine):
					c.end <- line
				}
			}
		})
		if ctx.Err() == nil {
			t.Errorf("the worker has ended: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		working.Wait()
	})
	return c
}

// untilTrained waits until the worker, without network, has done so many steps.
func (c *cutOff) untilTrained(steps int) {
	<-c.begun
	for done := 0; done < steps; time.Sleep(5 * time.Millisecond) {
		c.membership.update(func(m *Member) {
			if m.Stage == string(experiment.Training) {
				done = m.Step
			} else if m.Stage != string(experiment.Starting) && m.Stage != "" {
				done = steps
			}
		})
	}
}

// known is what the server has of an experiment.
func known(t *testing.T, c *Cluster, s *experiment.Spec) record {
	t.Helper()
	row, err := s.Row()
	must(t, err)
	r, _, err := c.record(t.Context(), row.ID)
	must(t, err)
	return r
}

// A worker whose network is gone trains on, and sends what it has when the network is back.
func TestTheNetworkIsGone(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]bool{"hanging connections": false, "closed connections": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			specs := prepare(t, "3", 0)
			want := alone(t, specs)
			server := startTestServer(t)
			c := connect(t, server.URL())
			worker := startCutOff(t, server.URL(), closes)
			own, through := newWire(t, server.URL()) // that of the run
			var without sync.WaitGroup
			without.Go(func() {
				<-worker.begun
				own.cut(closes)
				worker.untilTrained(20)
				time.Sleep(*outage)
				if r := known(t, c, specs[0]); len(r.Saved) > 0 || r.Row != nil {
					t.Errorf("the server has got %+v without network", r)
				}
				own.mend()
				worker.wire.mend()
			})
			got := remotely(t, through, specs, ignore)
			without.Wait()
			compare(t, want, got, specs)
			if list := sittings(t, got, specs[0]); len(list) != 1 {
				t.Errorf("sittings %+v, want one", list)
			}
		})
	}
}

// Two workers own one experiment, as each believes: the lease of the first has run out while its
// network was gone. What it sends late is refused, and what is stored is the second's, once.
func TestALateResultIsRefused(t *testing.T) {
	t.Parallel()
	specs := prepare(t, "3", 0)
	want := alone(t, specs)
	server := startTestServer(t)
	c := connect(t, server.URL())
	first := startCutOff(t, server.URL(), false)
	var second sync.WaitGroup
	second.Go(func() {
		first.untilTrained(20)
		startWorker(t, server.URL())
	})
	got := remotely(t, server.URL(), specs, ignore)
	second.Wait()
	compare(t, want, got, specs)
	before := known(t, c, specs[0])

	first.wire.mend()
	if line := <-first.end; !strings.Contains(line, lostLine) {
		t.Errorf("the first worker says %q, want that the experiment is another's", line)
	}
	after := known(t, c, specs[0])
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the late result has changed what the server has (-before +after):\n%s", diff)
	}
	stored, err := c.files.List(t.Context())
	must(t, err)
	var names []string
	for _, info := range stored {
		names = append(names, info.Name)
	}
	slices.Sort(names)
	named := after.files()
	slices.Sort(named)
	if diff := cmp.Diff(named, names); diff != "" {
		t.Errorf("the files at the server are not those of the result (-result +stored):\n%s", diff)
	}
	if _, ok := after.Saved[storage.Best]; !ok {
		t.Errorf("the server has no best checkpoint among %v", after.Saved)
	}
	// Whoever gathers the result only now gets it once, without what came late.
	compare(t, want, remotely(t, server.URL(), specs, ignore), specs)
}
