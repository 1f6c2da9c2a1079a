package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/internal/testplugin"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
)

// The environment variables that make the test binary a worker of the server with this URL, or
// a server in this folder on this port.
const (
	workerVariable = "BITTERN_TEST_WORKER"
	serverVariable = "BITTERN_TEST_SERVER"
	portVariable   = "BITTERN_TEST_PORT"
)

// kills is how many workers and servers are killed at random by TestKillsAtRandom.
var kills = flag.Int("kills", 3, "how many processes the test of random kills kills")

// testLease is short, so that a killed worker's experiment is soon another's. How short changes
// no result: a worker that loses its lease too early is refused.
const testLease = time.Second

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "plugin":
	case os.Getenv(workerVariable) != "":
		for { // a server that is being started again is no reason to end
			if err := work(context.Background(), os.Getenv(workerVariable), nil); !strings.Contains(err.Error(), "there is no NATS server") {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	case os.Getenv(serverVariable) != "":
		fmt.Fprintln(os.Stderr, serve(os.Getenv(serverVariable), os.Getenv(portVariable)))
		os.Exit(1)
	}
	testplugin.Main(m)
}

func newCatalogue() (*host.Catalogue, error) {
	catalogue, err := host.NewCatalogue(testplugin.IDs, "")
	if err == nil {
		catalogue.DescribeInProcess(testplugin.Describe)
	}
	return catalogue, err
}

// work is a worker.
func work(ctx context.Context, url string, change func(*Worker)) error {
	catalogue, err := newCatalogue()
	if err != nil {
		return err
	}
	c, err := Connect(ctx, Options{URL: url, lease: testLease})
	if err != nil {
		return err
	}
	defer c.Close()
	w := &Worker{Cluster: c, Catalogue: catalogue, Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {}}
	if change != nil {
		change(w)
	}
	return w.Work(ctx)
}

// serve is a server, which prints its URL.
func serve(folder, port string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s, err := startServer(folder, number, "token")
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	select {}
}

// process starts the test binary with a variable of those above. It is killed in the end.
func process(t *testing.T, variables ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	c := exec.Command(self)
	c.Env = append(os.Environ(), variables...)
	c.Stderr = os.Stderr
	t.Cleanup(func() { kill(c) })
	return c
}

// kill ends a process as kill -9 does.
func kill(c *exec.Cmd) {
	if c.Process != nil && c.ProcessState == nil {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

func startWorker(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	c := process(t, workerVariable+"="+url)
	must(t, c.Start())
	return c
}

// startServerProcess starts a server and returns its URL.
func startServerProcess(t *testing.T, folder, port string) (*exec.Cmd, string) {
	t.Helper()
	c := process(t, serverVariable+"="+folder, portVariable+"="+port)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	line := make([]byte, 256)
	n, err := out.Read(line)
	must(t, err)
	return c, strings.TrimSpace(string(line[:n]))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// slowSuite has steps that leave time to be killed in, and a checkpoint after every 4 of 28.
const slowSuite = `
name: slow
seeds: [%s]
threads: 1
tasks:
  - {data: grammar, bytes: 1500, batch: 7, length: 23}
models:
  - {plugin: bigram, options: [pause=%d]}
quantizers:
  - {plugin: coin}
backends:
  - {plugin: oracle}
training: {learning_rate: 0.05, epochs: 4, checkpoint_every_steps: 4}
freeze: {draws: 2, calibration_batches: 2}
`

func prepare(t *testing.T, seeds string, pause int) []*experiment.Spec {
	t.Helper()
	s, err := suite.Parse("slow", fmt.Appendf(nil, slowSuite, seeds, pause))
	must(t, err)
	catalogue, err := newCatalogue()
	must(t, err)
	specs, err := schedule.Prepare(t.Context(), s, catalogue, "")
	must(t, err)
	return specs
}

func openRuns(t *testing.T) *store.Store {
	t.Helper()
	runs, err := store.Open(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	})
	return runs
}

// alone runs experiments in this process, as they are run without workers.
func alone(t *testing.T, specs []*experiment.Spec) *store.Store {
	t.Helper()
	runs := openRuns(t)
	catalogue, err := newCatalogue()
	must(t, err)
	r := experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(runs), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
	}
	for _, s := range specs {
		failed, err := r.Run(t.Context(), s, func(experiment.Progress) {})
		if err != nil || len(failed) > 0 {
			t.Fatalf("%s: %v, %v", s, failed, err)
		}
	}
	return runs
}

// remotely has workers run experiments, and returns what was gathered.
func remotely(t *testing.T, url string, specs []*experiment.Spec, report func(*experiment.Spec, experiment.Progress)) *store.Store {
	t.Helper()
	runs := openRuns(t)
	c, err := Connect(t.Context(), Options{URL: url, lease: testLease})
	must(t, err)
	t.Cleanup(c.Close)
	r := NewRemote(t.Context(), c, runs, false, func(line string) { t.Log(line) })
	must(t, r.Submit(t.Context(), specs, func(*experiment.Spec) float64 { return 0 }, false))
	var all sync.WaitGroup
	for _, s := range specs {
		all.Go(func() {
			failed, err := r.Run(t.Context(), s, func(p experiment.Progress) { report(s, p) })
			if err != nil || len(failed) > 0 {
				t.Errorf("%s: %v, %v", s, failed, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return runs
}

func ignore(*experiment.Spec, experiment.Progress) {}

// compare compares what two run stores have of experiments, without what the clock decides.
func compare(t *testing.T, want, got *store.Store, specs []*experiment.Spec) {
	t.Helper()
	for _, s := range specs {
		row, err := s.Row()
		must(t, err)
		if diff := cmp.Diff(numbers(t, want, row.ID), numbers(t, got, row.ID)); diff != "" {
			t.Errorf("%s differs from the run on one machine (-want +got):\n%s", s, diff)
		}
		for _, pattern := range []string{"steps.jsonl", "validations.jsonl", "deployed/program.json", "deployed/deployed.safetensors", "best/*.safetensors"} {
			if a, b := content(t, want, row.ID, pattern), content(t, got, row.ID, pattern); !bytes.Equal(a, b) {
				t.Errorf("%s: %s has other bytes than in the run on one machine", s, pattern)
			}
		}
		if left, err := filepath.Glob(filepath.Join(got.ExperimentDir(row.ID), "last", "*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left over: %v, %v", s, left, err)
		}
	}
}

// numbers are the row and the deployments of an experiment without times.
func numbers(t *testing.T, runs *store.Store, id string) []any {
	t.Helper()
	row, err := runs.Experiment(t.Context(), id)
	must(t, err)
	deployments, err := runs.Deployments(t.Context(), id)
	must(t, err)
	row.TrainSeconds, row.StartedAt, row.FinishedAt, row.Provenance = 0, time.Time{}, time.Time{}, nil
	for i := range deployments {
		deployments[i].Provenance = nil
	}
	return []any{row, deployments}
}

func content(t *testing.T, runs *store.Store, id, pattern string) []byte {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(runs.ExperimentDir(id), pattern))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("%s of experiment %s is %v, want one file", pattern, id, found)
	}
	text, err := os.ReadFile(found[0])
	must(t, err)
	return text
}

func sittings(t *testing.T, runs *store.Store, s *experiment.Spec) []provenance.Sitting {
	t.Helper()
	fresh, err := s.Row()
	must(t, err)
	row, err := runs.Experiment(t.Context(), fresh.ID)
	must(t, err)
	var made provenance.Experiment
	must(t, json.Unmarshal(row.Provenance, &made))
	return made.Sittings
}

// untilSaved waits until the server has a checkpoint of an experiment after so many steps.
func untilSaved(t *testing.T, c *Cluster, s *experiment.Spec, steps uint64) {
	t.Helper()
	row, err := s.Row()
	must(t, err)
	for {
		r, _, err := c.record(t.Context(), row.ID)
		if err != nil && !errors.Is(err, errNoRecord) {
			t.Fatal(err)
		}
		if r.Saved[storage.Last].Manifest.Step >= steps || r.State == finished {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A worker that is killed loses nothing but time: another goes on from its last uploaded
// checkpoint, to the numbers of a run on one machine.
func TestAKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	specs := prepare(t, "3", 20)
	want := alone(t, prepare(t, "3", 20))
	server := startTestServer(t)
	c := connect(t, server.URL())
	first := startWorker(t, server.URL())
	var killed sync.WaitGroup
	killed.Go(func() {
		untilSaved(t, c, specs[0], 4)
		kill(first)
		startWorker(t, server.URL())
	})
	got := remotely(t, server.URL(), specs, ignore)
	killed.Wait()
	compare(t, want, got, specs)
	if list := sittings(t, got, specs[0]); len(list) != 2 || list[1].From < 4 {
		t.Errorf("sittings %+v, want two, the second from a checkpoint on", list)
	}
	// Another run, with another run store, is given the same without any training.
	again := remotely(t, server.URL(), specs, func(_ *experiment.Spec, p experiment.Progress) {
		if p.Stage != experiment.Waiting {
			t.Errorf("the second run saw an experiment %s", p.Stage)
		}
	})
	compare(t, want, again, specs)
}

// A server that is killed and started again loses nothing, and neither run nor worker minds.
func TestAKilledServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	specs, folder := prepare(t, "3", 30), t.TempDir()
	want := alone(t, prepare(t, "3", 30))
	server, url := startServerProcess(t, folder, "-1")
	c := connect(t, url)
	startWorker(t, url)
	var killed sync.WaitGroup
	killed.Go(func() {
		untilSaved(t, c, specs[0], 4)
		kill(server)
		startServerProcess(t, folder, url[strings.LastIndex(url, ":")+1:])
	})
	got := remotely(t, url, specs, ignore)
	killed.Wait()
	compare(t, want, got, specs)
}

// Two workers and a server that are killed at random leave what one machine finds.
func TestKillsAtRandom(t *testing.T) {
	t.Parallel()
	const seeds = "1,2,3"
	specs, folder := prepare(t, seeds, 20), t.TempDir()
	want := alone(t, prepare(t, seeds, 20))
	random := rand.New(rand.NewPCG(uint64(*kills), 1))
	rounds, servers := 0, 0
	for done := 0; done < *kills; rounds++ {
		server, url := startServerProcess(t, filepath.Join(folder, strconv.Itoa(done)), "-1")
		port := url[strings.LastIndex(url, ":")+1:]
		workers := []*exec.Cmd{startWorker(t, url), startWorker(t, url)}
		submitted, finished := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var killing sync.WaitGroup
		here := filepath.Join(folder, strconv.Itoa(done))
		killing.Go(func() {
			<-submitted
			for done < *kills {
				select {
				case <-finished:
					return
				case <-time.After(time.Duration(random.IntN(800)) * time.Millisecond):
				}
				if victim := random.IntN(len(workers) + 1); victim < len(workers) {
					kill(workers[victim])
					workers[victim] = startWorker(t, url)
				} else {
					kill(server)
					server, _ = startServerProcess(t, here, port)
					servers++
				}
				done++
			}
		})
		got := remotely(t, url, specs, func(*experiment.Spec, experiment.Progress) { once.Do(func() { close(submitted) }) })
		close(finished)
		killing.Wait()
		compare(t, want, got, specs)
		for _, w := range append(workers, server) {
			kill(w)
		}
	}
	t.Logf("killed %d workers and %d servers in %d runs of %d experiments each", *kills-servers, servers, rounds, len(specs))
}
