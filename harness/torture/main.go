//go:build linux

// Command torture kills the processes of a small suite at random: the harness and its plugins,
// by SIGKILL. Then it compares every number that the suite stored with those of an undisturbed
// run. It needs Linux, which can find the processes that a killed one leaves behind.
//
//	go run ./harness/torture -minutes 60 -kills 1000 -report reports/results/torture.md
//
// A round begins with a new folder of runs. One run of the suite, or two at once in every second
// round, are started again after each kill. When the round has had its kills, one more run
// finishes the rest. A second run takes other experiments, or waits until the first has ended.
//
// The seed decides which process is killed and after what time. What the process is doing then
// is up to the system.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "embed"

	"golang.org/x/sys/unix"

	"bittern/harness/provenance"
	"bittern/internal/arena"
)

//go:embed suite.yaml
var suiteFile []byte

// settings are the flags.
type settings struct {
	minutes  float64
	kills    int
	together int
	seed     uint64
	report   string
}

func main() {
	var s settings
	flag.Float64Var(&s.minutes, "minutes", 10, "begin no round after this many minutes")
	flag.IntVar(&s.kills, "kills", 0, "begin no round after this many kills; 0 is no limit")
	flag.IntVar(&s.together, "together", 2, "most runs at once on one folder; rounds take 1 to this many in turn")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "seed of the kills; the clock where it is not given")
	flag.StringVar(&s.report, "report", "", "write the last lines as Markdown into this file")
	flag.Parse()
	if s.together < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "-together must be at least 1, and there are no arguments; see -help")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	total, err := torture(ctx, s, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case !total.clean():
		os.Exit(1)
	}
}

// tool has what all rounds share.
type tool struct {
	bittern string // the executable to be tortured
	suite   string
	work    string // the folder of the rounds
	random  *rand.Rand

	undisturbed traces
	takes       time.Duration // how long an undisturbed run takes
}

// torture runs rounds until the time is over or ctx ends, and writes what happened to out.
func torture(ctx context.Context, s settings, out io.Writer) (total tally, err error) {
	// Processes whose parent was killed become children of this process, not of init.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return total, fmt.Errorf("become the parent of orphans: %w", err)
	}
	t := &tool{random: rand.New(rand.NewPCG(s.seed, 0))}
	if t.work, err = os.MkdirTemp("", "bittern-torture-"); err != nil {
		return total, err
	}
	defer func() {
		// If anything went wrong, the folder is kept for whoever looks into it.
		if total.clean() && (err == nil || ctx.Err() != nil) {
			err = errors.Join(err, os.RemoveAll(t.work))
		} else {
			fmt.Fprintf(out, "the folders of rounds that went wrong are kept in %s\n", t.work)
		}
	}()
	if err := t.prepare(ctx); err != nil {
		return total, err
	}
	fmt.Fprintf(out, "seed %d; an undisturbed run takes %.1f s\n", s.seed, t.takes.Seconds())
	machine := provenance.Collect(ctx) // now, since the checkout may change meanwhile
	var lines []string
	end := time.Now().Add(time.Duration(s.minutes * float64(time.Minute)))
	for number := 1; ctx.Err() == nil && time.Now().Before(end) && (s.kills == 0 || total.kills() < s.kills); number++ {
		r, err := t.round(ctx, number, 1+(number-1)%s.together)
		if err != nil {
			return total, err
		}
		total.add(r)
		lines = append(lines, fmt.Sprintf("round %d, %d at once: %s", number, r.together, r.line()))
		fmt.Fprintln(out, lines[len(lines)-1])
		for _, complaint := range r.complaints() {
			fmt.Fprintln(out, "  "+complaint)
		}
	}
	lines = append(lines, "all: "+total.line())
	fmt.Fprintf(out, "%s\n%s\n", lines[len(lines)-1], total.summary())
	if s.report != "" {
		if err := os.WriteFile(s.report, []byte(markdown(machine, s, lines, total)), 0o644); err != nil {
			return total, err
		}
	}
	return total, context.Cause(ctx)
}

// prepare builds the program and runs the suite twice, undisturbed. All runs are compared with
// the first. The second must be equal to it; otherwise the comparison has values that depend on
// the clock.
func (t *tool) prepare(ctx context.Context) error {
	t.bittern, t.suite = filepath.Join(t.work, "bittern"), filepath.Join(t.work, "suite.yaml")
	build := exec.CommandContext(ctx, "go", "build", "-o", t.bittern, "bittern")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build bittern: %w\n%s", err, output)
	}
	if err := os.WriteFile(t.suite, suiteFile, 0o600); err != nil {
		return err
	}
	for number := range 2 {
		p, err := t.newPlace(fmt.Sprintf("undisturbed-%d", number+1))
		if err != nil {
			return err
		}
		began := time.Now()
		if err := p.runAlone(ctx); err != nil {
			return fmt.Errorf("the undisturbed run: %w", err)
		}
		t.takes = time.Since(began)
		found, err := p.traces()
		if err != nil {
			return err
		}
		if number == 0 {
			t.undisturbed = found
		} else if differences, leftovers := t.undisturbed.compare(found); len(differences)+len(leftovers) > 0 {
			return fmt.Errorf("two undisturbed runs differ; mend it, or list what the clock decides in exempt:\n%s", strings.Join(append(differences, leftovers...), "\n"))
		}
		if err := p.close(false); err != nil {
			return err
		}
	}
	return nil
}

// place has the folders of a round's runs. Rounds share none of them.
type place struct {
	*tool
	folder string
	arenas string // in memory
	logs   int
}

func (t *tool) newPlace(name string) (*place, error) {
	p := &place{tool: t, folder: filepath.Join(t.work, name)}
	for _, folder := range []string{p.folder, p.runs(), p.temporary(), p.home()} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return nil, err
		}
	}
	shared, err := arena.Folder()
	if err != nil {
		return nil, err
	}
	p.arenas, err = os.MkdirTemp(shared, "torture-")
	return p, err
}

func (p *place) runs() string      { return filepath.Join(p.folder, "runs") }
func (p *place) temporary() string { return filepath.Join(p.folder, "tmp") }
func (p *place) home() string      { return filepath.Join(p.folder, "home") }

// close removes the arenas and, unless keep is set, everything else.
func (p *place) close(keep bool) error {
	err := os.RemoveAll(p.arenas)
	if !keep {
		err = errors.Join(err, os.RemoveAll(p.folder))
	}
	return err
}

// environment returns the environment of this tool without the variables of Bittern.
func (p *place) environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "BITTERN_") {
			kept = append(kept, variable)
		}
	}
	return append(kept, "HOME="+p.home(), "TMPDIR="+p.temporary(), arena.FolderVariable+"="+p.arenas)
}

// traces returns what the runs in a place left behind.
func (p *place) traces() (traces, error) {
	found := traces{paths: make(map[string]bool), values: make(map[string]string)}
	if err := found.addRuns(p.runs()); err != nil {
		return traces{}, err
	}
	for name, folder := range map[string]string{"TMPDIR": p.temporary(), "arenas": p.arenas} {
		if err := found.addPaths(name, folder); err != nil {
			return traces{}, err
		}
	}
	return found, nil
}

// markdown returns the content of the file that -report names.
func markdown(machine provenance.Machine, s settings, lines []string, total tally) string {
	const shown = 20
	if len(lines) > shown {
		lines = append([]string{fmt.Sprintf("… %d rounds before", len(lines)-shown)}, lines[len(lines)-shown:]...)
	}
	modified := ""
	if machine.Modified {
		modified = " with changes"
	}
	var text strings.Builder
	fmt.Fprintf(&text, `# Torture

`+"`go run ./harness/torture -minutes %g -kills %d -together %d -seed %d`"+` at commit %s%s, %s %s/%s, %d cores of %s, %s. It
kills a small suite at random, harness and plugins by SIGKILL, and compares every number stored in the end with those
of an undisturbed run.

`, s.minutes, s.kills, s.together, s.seed, machine.Commit, modified, machine.Go, machine.OS, machine.Arch, machine.Cores, machine.CPU, time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&text, "```\n%s\n```\n\nNot compared:\n\n", strings.Join(lines, "\n"))
	for _, e := range exempt {
		fmt.Fprintf(&text, "- `%s`: %s\n", e.pattern, e.reason)
	}
	fmt.Fprintf(&text, "\n%s\n", total.summary())
	return text.String()
}
