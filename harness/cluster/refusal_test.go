package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"bittern/harness/internal/testplugin"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/internal/host"
	"bittern/plugins"
)

func wantProblem(t *testing.T, err error, sentence string) {
	t.Helper()
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || !strings.Contains(problem.Sentence, sentence) {
		t.Errorf("the error is %v, want a problem with %q", err, sentence)
	}
}

func TestAWorkerWithAWrongClockIsTold(t *testing.T) {
	t.Parallel()
	server := startTestServer(t)
	for sentence, skew := range map[string]time.Duration{
		"the clock of this machine is 1h0m0s ahead of that of the NATS server": time.Hour,
		"the clock of this machine is 1h0m0s behind that of the NATS server":   -time.Hour,
	} {
		err := work(t.Context(), server.URL(), func(w *Worker) {
			w.now = func() time.Time { return time.Now().Add(skew) }
		})
		wantProblem(t, err, sentence)
	}
	members, err := connect(t, server.URL()).Members(t.Context())
	if err != nil || len(members) > 0 {
		t.Errorf("workers %v, %v, want none", members, err)
	}
}

// What a worker has otherwise than the run that made a job keeps it from taking the job.
func TestAnUnlikeWorkerIsTold(t *testing.T) {
	t.Parallel()
	catalogue, err := newCatalogue()
	must(t, err)
	shop, s := schedule.NewWorkshop(catalogue, ""), prepare(t, "3", 0)[0]
	for sentence, change := range map[string]func(*message){
		"sha256 0000": func(m *message) { // of another corpus
			m.Job.ID, m.Job.Config = "other", bytes.Replace(m.Job.Config, []byte(s.Loaded.Data.SHA256), bytes.Repeat([]byte("0"), 64), 1)
		},
		"model/bigram has SHA-256 none, for it is built in, on this machine and abcdefabcdef…": func(m *message) {
			m.Job.Model.SHA256 = strings.Repeat("abcdef", 10) + "abcd"
		},
		"quantizer/coin is version 1.0.0 on this machine and 9.9.9 where the suite was started": func(m *message) { m.Job.Quantizer.Version = "9.9.9" },
		"this worker is bittern of commit ours, and the suite was started by commit theirs":     func(m *message) { m.Build.Commit = "theirs" },
	} {
		job, err := s.Job()
		must(t, err)
		text, err := json.Marshal(message{Format: format, Job: job, Build: provenance.Build{Commit: "ours"}})
		must(t, err)
		m, err := readMessage(text)
		must(t, err)
		w := Worker{build: provenance.Build{Commit: "ours"}, workshop: shop}
		if _, err := w.spec(t.Context(), m); err != nil {
			t.Errorf("a worker that is like the run: %v", err)
		}
		change(&m)
		_, err = w.spec(t.Context(), m)
		wantProblem(t, err, sentence)
	}
}

// Nothing is queued if there are workers and none has a plugin.
func TestAPluginThatNoWorkerHas(t *testing.T) {
	t.Parallel()
	server, s := startTestServer(t), prepare(t, "3", 0)
	c := connect(t, server.URL())
	check := func() error { return c.CheckWorkers(t.Context(), s, func(string) {}) }
	must(t, check()) // as long as there is no worker, one may come
	lacking, err := host.NewCatalogue(testplugin.IDs[1:], "")
	must(t, err)
	member, err := c.join(t.Context(), "one", provenance.CollectBuild(t.Context()), provenance.Machine{}, lacking)
	must(t, err)
	must(t, member.tell(t.Context()))
	wantProblem(t, check(), "has no "+testplugin.IDs[0].String())

	able := join(t, c, "alpha")[0] // who may take what is told
	told := &lines{}
	must(t, c.CheckWorkers(t.Context(), s, told.log))
	if want := "experiments with the instruction set " + able.member.ISA + " go to " + able.member.String(); len(told.told) != 1 || !strings.HasPrefix(told.told[0], want) {
		t.Errorf("told was %q, want %q", told.told, want)
	}
}
