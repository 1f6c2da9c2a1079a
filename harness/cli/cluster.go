package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/cluster"
	"bittern/harness/experiment"
	"bittern/harness/schedule"
	"bittern/harness/store"
	"bittern/plugins"
)

// natsSettings are the flags that say where a NATS server is, and who connects to it.
type natsSettings struct {
	NATS        string `mapstructure:"nats"`
	Credentials string `mapstructure:"nats-creds"`
	Authority   string `mapstructure:"nats-tls-ca"`
	Certificate string `mapstructure:"nats-tls-cert"`
	Key         string `mapstructure:"nats-tls-key"`
}

func natsFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.String("nats", "", "URL of a NATS server with JetStream, as in nats://host:4222")
	flags.String("nats-creds", "", "file with the credentials of a NATS user")
	flags.String("nats-tls-ca", "", "PEM file of the authority that signed the NATS server's certificate")
	flags.String("nats-tls-cert", "", "PEM file of this machine's certificate for the NATS server")
	flags.String("nats-tls-key", "", "PEM file of that certificate's key")
}

func (s natsSettings) check() error {
	if (s.Certificate == "") != (s.Key == "") {
		return plugins.Problemf("--nats-tls-cert and --nats-tls-key go together; give both")
	}
	return nil
}

// connect connects to the server, which must be named.
func (s natsSettings) connect(ctx context.Context) (*cluster.Cluster, error) {
	if s.NATS == "" {
		return nil, plugins.Problemf("name a NATS server with --nats, as in nats://host:4222")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return cluster.Connect(ctx, cluster.Options{
		URL: s.NATS, Credentials: s.Credentials, Authority: s.Authority, Certificate: s.Certificate, Key: s.Key,
	})
}

// distributed says whether workers run the experiments.
func (s runSettings) distributed() bool { return s.NATS != "" || s.workers > 0 }

// maxWorkers bounds the worker processes of one machine.
const maxWorkers = 256

func (s runSettings) checkWorkers() error {
	switch {
	case s.NATS != "" && s.workers > 0:
		return plugins.Problemf("--nats and --workers both say who runs the experiments; give one of them")
	case s.oneClass && !s.distributed():
		return plugins.Problemf("--same-machine-class says which workers run the experiments; give --nats or --workers too")
	case s.plan != "" && !s.distributed():
		return plugins.Problemf("--plan orders the experiments for workers; give --nats or --workers too")
	case s.workers < 0 || s.workers > maxWorkers:
		return plugins.Problemf("--workers must be between 1 and %d, not %d", maxWorkers, s.workers)
	case s.distributed() && s.Jobs != defaults().Jobs:
		return plugins.Problemf("--jobs is for experiments that this process runs; with --nats or --workers each worker runs one at a time")
	}
	return s.natsSettings.check()
}

// server connects to the NATS server of the settings, and makes sure that workers can take the
// experiments. It is nil if no server is named.
func (p *program) server(ctx context.Context, settings runSettings, specs []*experiment.Spec) (*cluster.Cluster, error) {
	if settings.NATS == "" {
		return nil, nil
	}
	c, err := settings.connect(ctx)
	if err != nil {
		return nil, err
	}
	log := func(line string) {
		if !settings.oneClass { // which is told when it is settled
			fmt.Fprintln(p.stderr, line)
		}
	}
	if err := c.CheckWorkers(ctx, untimed(specs), log); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func untimed(specs []*experiment.Spec) []*experiment.Spec {
	list := make([]*experiment.Spec, len(specs))
	for i, s := range specs {
		list[i] = s.Untimed()
	}
	return list
}

// onWorkers has workers run the experiments of a suite, those of a server or of this machine
// where it is nil, and gathers what they find. What times
// itself on this machine is not among it: see Untimed of an experiment.
func (p *program) onWorkers(ctx context.Context, settings runSettings, suite string, runs *store.Store, specs []*experiment.Spec, server *cluster.Cluster, known effort) (_ []schedule.Failure, err error) {
	display := schedule.NewDisplay(p.stderr, known.work(specs), max(2, len(specs)))
	defer display.Close()
	if settings.workers > 0 {
		team, err := p.startTeam(ctx, settings, display.Line)
		if err != nil {
			return nil, err
		}
		defer func() { team.close() }()
		ctx, settings.NATS = team.ctx, team.server.URL()
		if server, err = settings.connect(ctx); err != nil {
			return nil, err
		}
		defer server.Close()
	} else {
		p.goOn = "the workers go on; run the same command again to gather what they find"
	}
	specs = untimed(specs)
	remote := cluster.NewRemote(ctx, server, runs, settings.workers > 0, display.Line)
	if settings.oneClass {
		if err := remote.KeepToOneClass(ctx, suite, specs, settings.Again); err != nil {
			return nil, err
		}
		watching, stop := context.WithCancel(ctx)
		var watch sync.WaitGroup
		watch.Go(func() { remote.WatchClass(watching) })
		defer watch.Wait()
		defer stop()
	}
	if err := remote.Submit(ctx, specs, func(s *experiment.Spec) float64 { return known.long[s.String()] }, settings.Again); err != nil {
		return nil, err
	}
	failures, err := schedule.Run(ctx, runs, remote, specs, len(specs), display)
	if err != nil {
		return failures, err
	}
	if err := remote.Sweep(ctx, specs); err != nil {
		display.Line(fmt.Sprintf("files that no result names may be left at the server: %s", err))
	}
	return failures, nil
}

// timed are the experiments with a backend that times itself, without those that failed.
func timed(specs []*experiment.Spec, failures []schedule.Failure) []*experiment.Spec {
	failed := make(map[string]bool)
	for _, f := range failures {
		failed[f.Spec.String()] = true
	}
	return slices.DeleteFunc(slices.Clone(specs), func(s *experiment.Spec) bool {
		return failed[s.String()] || len(s.Untimed().Backends) == len(s.Backends)
	})
}

// team is the worker processes of this machine, and the server between them and the run.
type team struct {
	ctx    context.Context // ends when no worker is left
	cancel context.CancelCauseFunc
	server *cluster.Server
	lock   io.Closer

	mu      sync.Mutex
	members []*exec.Cmd
	stdin   []io.Closer // a worker ends when its own is closed
	ended   sync.WaitGroup
	alive   int
	closing bool
}

// teamFolder is the folder of the server's data in a folder of runs.
const teamFolder = "jetstream"

func (p *program) startTeam(ctx context.Context, settings runSettings, log func(string)) (_ *team, err error) {
	folder := filepath.Join(settings.Runs, teamFolder)
	lock, err := cluster.LockFolder(folder)
	if err != nil {
		return nil, err
	}
	t := &team{lock: lock}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.server, err = cluster.StartServer(folder); err != nil {
		return nil, err
	}
	for number := range settings.workers {
		if err := t.hire(number+1, settings, log); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// hire starts a worker. Its settings go by the environment, where other users of this machine
// do not see the server's token.
func (t *team) hire(number int, settings runSettings, log func(string)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	worker := exec.Command(self, "worker", "--attached")
	worker.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, variable("nats")) })
	for flag, value := range map[string]string{
		"nats": t.server.URL(), "data": settings.Data, "plugins": settings.Plugins, "plugins-on-path": fmt.Sprint(settings.OnPath),
		"verbose": fmt.Sprint(settings.Verbose), "deadline": settings.Deadline.String(),
	} {
		worker.Env = append(worker.Env, variable(flag)+"="+value)
	}
	tail := &tail{}
	worker.Stderr = tail
	stdin, err := worker.StdinPipe()
	if err != nil {
		return err
	}
	if err := worker.Start(); err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members, t.stdin = append(t.members, worker), append(t.stdin, stdin)
	t.alive++
	t.ended.Go(func() { t.wait(number, worker, tail, log) })
	return nil
}

// wait waits until a worker ends, which it should not do by itself.
func (t *team) wait(number int, worker *exec.Cmd, tail *tail, log func(string)) {
	err := worker.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alive--
	if t.closing || t.ctx.Err() != nil {
		return
	}
	why := cmp.Or(tail.last(), fmt.Sprint(err))
	log(fmt.Sprintf("worker %d has ended (%v): %s", number, err, why))
	if t.alive == 0 {
		t.cancel(fmt.Errorf("no worker is left: %s", why))
	}
}

// close ends the workers, which save what they are doing, and then the server.
func (t *team) close() {
	t.mu.Lock()
	t.closing = true
	for _, stdin := range t.stdin {
		_ = stdin.Close() // of one that has ended it is closed
	}
	t.mu.Unlock()
	const patience = 90 * time.Second // longer than a worker waits for the server
	ended := make(chan struct{})
	go func() { t.ended.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		for _, worker := range t.members {
			_ = worker.Process.Kill()
		}
		<-ended
	}
	if t.server != nil {
		t.server.Close()
	}
	_ = t.lock.Close()
	t.cancel(nil)
}

// tail keeps the end of what a worker prints.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(text []byte) (int, error) {
	const kept = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(text), nil
}

// last is the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return oneLine(lines[len(lines)-1])
}

// untilStdin returns a context that ends when standard input does: the run that started this
// worker has ended, however it did.
func untilStdin(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errInterrupted)
	}()
	return ctx
}
