package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/store"
)

// machine has a processor of this name.
func machine(processor string) provenance.Machine {
	level := isa.Numbers()
	return provenance.Machine{Commit: "test", CPU: processor + "; " + level + " (FEATURE)", ISA: level}
}

// class is the class of such a machine.
func class(processor string) string { return processor + ", " + isa.Numbers() }

// join puts workers on the list that take no jobs, one on a machine of each processor.
func join(t *testing.T, c *Cluster, processors ...string) (list []*membership) {
	t.Helper()
	catalogue, err := newCatalogue()
	must(t, err)
	for _, processor := range processors {
		m, err := c.join(t.Context(), rand.Text(), provenance.CollectBuild(t.Context()), machine(processor), catalogue)
		must(t, err)
		must(t, m.tell(t.Context()))
		list = append(list, m)
	}
	return list
}

// lines keeps what is told.
type lines struct {
	mu   sync.Mutex
	told []string
}

func (l *lines) log(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, line)
}

func (l *lines) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.told, func(line string) bool { return strings.Contains(line, part) })
}

// trainedOn puts an experiment into a run store that was trained on machines with these
// processors.
func trainedOn(t *testing.T, runs *store.Store, s *experiment.Spec, processors ...string) {
	t.Helper()
	row, err := s.Row()
	must(t, err)
	var made provenance.Experiment
	for i, processor := range processors {
		made.Begin(provenance.Sitting{Machine: machine(processor)}, uint64(i))
		made.Saved(uint64(i+1), time.Now())
	}
	row.Provenance, err = json.Marshal(made)
	must(t, err)
	row.StartedAt = time.Now()
	must(t, runs.PutExperiment(t.Context(), row))
}

// keep settles on a class for a run with this run store.
func keep(t *testing.T, c *Cluster, runs *store.Store, specs []*experiment.Spec, again bool, log func(string)) (*Remote, error) {
	t.Helper()
	r := NewRemote(t.Context(), c, runs, false, log)
	return r, r.KeepToOneClass(t.Context(), "slow", specs, again)
}

func wantClass(t *testing.T, r *Remote, err error, processor string) {
	t.Helper()
	must(t, err)
	if r.class != class(processor) {
		t.Errorf("the suite keeps to %s, want %s", r.class, class(processor))
	}
}

// Workers of three kinds are there, and those of the largest kind run everything.
func TestASuiteKeepsToOneClass(t *testing.T) {
	t.Parallel()
	specs := prepare(t, "1,2,3", 0)
	want := alone(t, specs)
	server := startTestServer(t)
	c := connect(t, server.URL())
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	defer working.Wait()
	defer stop()
	for _, processor := range []string{"alpha", "beta", "beta", "gamma"} {
		working.Go(func() {
			if err := work(ctx, server.URL(), func(w *Worker) { w.Machine = machine(processor) }); ctx.Err() == nil {
				t.Errorf("a worker has ended: %v", err)
			}
		})
	}
	for {
		members, err := c.Members(t.Context())
		must(t, err)
		if len(members) == 4 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	runs, told := openRuns(t), &lines{}
	r, err := keep(t, c, runs, specs, false, told.log)
	wantClass(t, r, err, "beta")
	if sentence := "the suite keeps to one class of machine, " + class("beta") + "; there are workers: 1 of " + class("alpha") + "; 2 of " + class("beta") + "; 1 of " + class("gamma"); !told.has(sentence) {
		t.Errorf("told was %q, want %q", told.told, sentence)
	}
	must(t, r.Submit(t.Context(), specs, func(*experiment.Spec) float64 { return 0 }, false))
	var running sync.WaitGroup
	for _, s := range specs {
		running.Go(func() {
			if failed, err := r.Run(t.Context(), s, func(experiment.Progress) {}); err != nil || len(failed) > 0 {
				t.Errorf("%s: %v, %v", s, failed, err)
			}
		})
	}
	running.Wait()
	compare(t, want, runs, specs)
	for _, s := range specs {
		for _, sitting := range sittings(t, runs, s) {
			if sitting.Class() != class("beta") {
				t.Errorf("%s was trained on %s", s, sitting.Class())
			}
		}
	}
}

// The class is settled once, for every run of the suite, as long as it has a worker or anything
// is trained.
func TestAClassIsSettledOnce(t *testing.T) {
	t.Parallel()
	specs, ignored := prepare(t, "1,2", 0), func(string) {}
	c := connect(t, startTestServer(t).URL())
	alpha := join(t, c, "alpha")[0]
	r, err := keep(t, c, openRuns(t), specs, false, ignored)
	wantClass(t, r, err, "alpha")
	join(t, c, "beta", "beta")
	r, err = keep(t, c, openRuns(t), specs, false, ignored)
	wantClass(t, r, err, "alpha")
	alpha.leave(t.Context())
	r, err = keep(t, c, openRuns(t), specs, false, ignored)
	wantClass(t, r, err, "beta")

	runs := openRuns(t)
	trainedOn(t, runs, specs[0], "alpha")
	r, err = keep(t, c, runs, specs, false, ignored)
	wantClass(t, r, err, "alpha")
	r, err = keep(t, c, runs, specs, true, ignored)
	wantClass(t, r, err, "beta")

	entry, revision, err := c.keptClass(t.Context(), "slow")
	must(t, err)
	for _, writer := range []string{"first", "second"} {
		entry.Writer, err = writer, c.keep(t.Context(), entry, revision)
	}
	if !errors.Is(err, errKeptMeanwhile) {
		t.Errorf("the second of two runs that settle on a class at a time gets %v, want %v", err, errKeptMeanwhile)
	}
}

// Results of two classes are no comparison on one, and what is trained decides.
func TestAClassThatCannotBeKept(t *testing.T) {
	t.Parallel()
	specs := prepare(t, "1,2", 0)
	c := connect(t, startTestServer(t).URL())
	runs := openRuns(t)
	join(t, c, "alpha")
	trainedOn(t, runs, specs[0], "alpha", "beta")
	_, err := keep(t, c, runs, specs, false, func(string) {})
	wantProblem(t, err, "is of more than one class of machine ("+class("alpha")+"; "+class("beta")+"); train it on one with --again")
	trainedOn(t, runs, specs[0], "")
	_, err = keep(t, c, runs, specs, false, func(string) {})
	wantProblem(t, err, "that does not tell the name of its processor")

	other := connect(t, startTestServer(t).URL())
	join(t, other, "")
	_, err = keep(t, other, openRuns(t), specs, false, func(string) {})
	wantProblem(t, err, "no worker tells the name of its processor")
}

// A job waits for machines of one class or for all, never for both.
func TestAJobIsQueuedOnce(t *testing.T) {
	t.Parallel()
	specs, none := prepare(t, "1", 0), func(*experiment.Spec) float64 { return 0 }
	c := connect(t, startTestServer(t).URL())
	join(t, c, "alpha")
	subjects := func() (list []string) {
		stream, err := c.js.Stream(t.Context(), jobsStream)
		must(t, err)
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(jobsSubject+">"))
		must(t, err)
		for s := range info.State.Subjects {
			list = append(list, s)
		}
		return list
	}
	row, err := specs[0].Row()
	must(t, err)
	level := isa.Numbers()
	want := func(class string) {
		t.Helper()
		if got := subjects(); !slices.Equal(got, []string{subject(level, class, row.ID)}) {
			t.Errorf("the jobs are %v, want one for %q", got, class)
		}
	}
	forAll := NewRemote(t.Context(), c, openRuns(t), false, func(string) {})
	must(t, forAll.Submit(t.Context(), specs, none, false))
	want("")
	runs := openRuns(t)
	_, err = keep(t, c, runs, specs, false, func(string) {})
	wantProblem(t, err, "is being run for machines of every class, by another run")
	r, err := keep(t, c, runs, specs, true, func(string) {})
	wantClass(t, r, err, "alpha")
	must(t, r.Submit(t.Context(), specs, none, true))
	want(class("alpha"))
	must(t, forAll.Submit(t.Context(), specs, none, false)) // gathers what the other run has
	want(class("alpha"))
	r.class = class("beta")
	wantProblem(t, r.Submit(t.Context(), specs, none, false), "is being run for machines of "+class("alpha")+", by another run, and not of "+class("beta"))

	// A worker of another class is told, once.
	told := &lines{}
	passed := passedOver{class: "beta, another", log: told.log, told: map[string]bool{}} // with another instruction set
	passed.look(t.Context(), c)
	passed.look(t.Context(), c)
	if !slices.Equal(told.told, []string{"the suite slow keeps to machines of " + class("alpha") + "; this one, of beta, another, takes none of its experiments"}) {
		t.Errorf("a worker of another class says %q", told.told)
	}
	own := passedOver{class: class("alpha"), log: func(line string) { t.Errorf("a worker of the class says %q", line) }, told: map[string]bool{}}
	own.look(t.Context(), c)
}

// A run tells of workers that take nothing, and when none of its class is left.
func TestTheWorkersOfAClassLeave(t *testing.T) {
	t.Parallel()
	specs := prepare(t, "1", 0)
	c := connect(t, startTestServer(t).URL())
	alpha := join(t, c, "alpha", "beta")[0]
	told := &lines{}
	r, err := keep(t, c, openRuns(t), specs, false, told.log)
	wantClass(t, r, err, "alpha")
	look := r.classWatch()
	look(t.Context())
	if !told.has("takes no experiment of this suite: it is a machine of "+class("beta")) || told.has("is left") {
		t.Errorf("told was %q, want the worker of another class", told.told)
	}
	alpha.leave(t.Context())
	look(t.Context())
	look(t.Context())
	if last := told.told[len(told.told)-1]; !strings.Contains(last, "no worker of "+class("alpha")+" is left; start one, or interrupt this") || len(told.told) != 3 {
		t.Errorf("told was %q, want once that no worker of the class is left", told.told)
	}
}
