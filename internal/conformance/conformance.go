// Package conformance checks a plugin against the contract. Authors use it through package
// plugintest in a test, and users as `bittern plugins test`.
//
// A [Check] is one demand of the contract. The checks of a [Group] run one after the other and
// share plugins, since starting a process takes longer than most checks. A check ends at the
// first thing that is wrong, and its [Result] says what was expected and what was seen. If a
// plugin panics or hangs, the check that is running fails, and the next one gets a new plugin. A
// plugin in this process that exits, or panics in a goroutine of its own, ends this process.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"bittern/internal/wire"
)

// Outcome says how a check ended.
type Outcome string

// The outcomes of a check. A check is skipped if the plugin lacks what it is about, such as
// a backward pass. A task or program is refused if the plugin says that it does not serve it,
// which it may; the other checks of that task or program are then left out.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
	Refused Outcome = "refused"
)

// Result is what became of a check.
type Result struct {
	Check    string  `json:"check"` // its group, what it is about, and its name
	Outcome  Outcome `json:"outcome"`
	Expected string  `json:"expected,omitempty"` // if the check failed
	Seen     string  `json:"seen,omitempty"`     // what was wrong, or the reason of another outcome
}

// Limit is how long a check may take, about a hundred times what it takes with a small plugin.
const Limit = 2 * time.Minute

// grace is how long a check may take to end after its time is up.
const grace = 2 * time.Second

// Check is one demand of the contract.
type Check struct {
	Of   string // the task or program that the check is about; empty if it is about none
	Name string
	run  func(*recorder)
}

// Group is a set of checks that run one after the other.
type Group struct {
	Name   string
	Checks []Check

	separate bool
	limit    time.Duration
	shared   interface { // the plugins that the checks share
		close() error
		abandon() // gives them up without ending them
	}
}

// Run runs a check of the group. It returns an error only if ctx ended.
func (g *Group) Run(ctx context.Context, check Check) (Result, error) {
	name := strings.Join(slices.DeleteFunc([]string{g.Name, check.Of, check.Name}, func(part string) bool { return part == "" }), "/")
	limited, cancel := context.WithTimeout(ctx, g.limit)
	defer cancel()
	r := &recorder{ctx: limited}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.recoverPanic()
		check.run(r)
		r.end(Passed, "", "")
	}()
	select {
	case <-done:
	case <-limited.Done():
		// A call to another process ends with the context; one in this process may go on.
		if ctx.Err() == nil {
			r.end(Failed, "the end of the check within "+g.limit.String(), "the plugin hangs: no answer within "+g.limit.String())
		}
		select {
		case <-done:
		case <-time.After(grace):
		}
		if !g.separate {
			g.shared.abandon() // the plugin may still write to the tensors, which must stay
		}
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	result := r.result
	result.Check = name
	if result.Outcome == "" {
		result.Outcome, result.Expected, result.Seen = Failed, "the check to come to its end", "the plugin ended the goroutine that called it"
	}
	if result.Outcome == Failed {
		if err := g.shared.close(); err != nil {
			result.Seen += "; then: " + err.Error()
		}
	}
	return result, nil
}

// Close ends the plugins that the checks share.
func (g *Group) Close() error { return g.shared.close() }

// RunAll runs the checks of all groups and reports each result. After a task or program was
// refused, it leaves out the other checks of it.
func RunAll(ctx context.Context, groups []*Group, report func(Result)) (err error) {
	for _, g := range groups {
		if err := g.runAll(ctx, report); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) runAll(ctx context.Context, report func(Result)) (err error) {
	defer func() { err = errors.Join(err, g.Close()) }()
	refused := map[string]bool{}
	for _, check := range g.Checks {
		if refused[check.Of] {
			continue
		}
		result, err := g.Run(ctx, check)
		if err != nil {
			return err
		}
		refused[check.Of] = check.Of != "" && result.Outcome == Refused
		report(result)
	}
	return nil
}

// recorder records the result of a check. The first record ends the check.
type recorder struct {
	ctx    context.Context
	mutex  sync.Mutex
	result Result
}

// end records an outcome and ends the check, unless one is recorded.
func (r *recorder) end(outcome Outcome, expected, seen string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.result.Outcome == "" {
		r.result = Result{Outcome: outcome, Expected: expected, Seen: seen}
	}
}

// saw begins the report of a failure with what was seen. Its want ends the report.
func (r *recorder) saw(format string, args ...any) failure {
	return failure{r, fmt.Sprintf(format, args...)}
}

type failure struct {
	r    *recorder
	seen string
}

// want completes the report with what was expected, and ends the check as failed.
func (f failure) want(format string, args ...any) {
	f.r.end(Failed, fmt.Sprintf(format, args...), f.seen)
	runtime.Goexit()
}

// crashed is the error of a call during which the process of the plugin ended (host.Failure).
type crashed interface {
	error
	LastWords() string // the last lines that the process printed
}

// must ends the check as failed if a call to the plugin returned an error.
func (r *recorder) must(call string, err error) {
	if err == nil {
		return
	}
	words := ""
	if crash, ok := errors.AsType[crashed](err); ok && crash.LastWords() != "" && !strings.Contains(err.Error(), crash.LastWords()) {
		words = "; its last words: " + crash.LastWords()
	}
	r.saw("%s: %v%s", call, err, words).want("no error")
}

// skip ends the check because the plugin lacks what it is about.
func (r *recorder) skip(format string, args ...any) {
	r.end(Skipped, "", fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// refuse ends the check because the plugin does not serve the task or program.
func (r *recorder) refuse(reason string) {
	r.end(Refused, "", reason)
	runtime.Goexit()
}

// recoverPanic turns a panic of the plugin into a failure that says where it was.
func (r *recorder) recoverPanic() {
	cause := recover()
	if cause == nil {
		return
	}
	r.end(Failed, "no panic", wire.PanicWords(cause))
}
