package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bittern/accel/kernels/isa"
)

// TestInTurn checks that contestants alternate, that value i of each is of the same round, and that
// the first round does not count.
func TestInTurn(t *testing.T) {
	t.Parallel()
	var order []string
	make := func(name string) *contestant {
		round := 0.0
		return &contestant{who: name, turn: func(context.Context) (float64, error) {
			order = append(order, name)
			round++
			return round, nil
		}}
	}
	samples, err := (&Bench{Runs: 2}).inTurn(t.Context(), make("a"), nil, make("b"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "a", "b", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("got the turns %v, want %v", order, want)
	}
	for _, i := range []int{0, 2} {
		if !slices.Equal(samples[i].Values, []float64{2, 3}) {
			t.Errorf("sample %d: got %v, want those of the rounds after the first", i, samples[i].Values)
		}
	}
	if samples[1].N() != 0 {
		t.Errorf("a missing contestant has %v", samples[1])
	}
	broken := errors.New("broken")
	if _, err := (&Bench{Runs: 1}).inTurn(t.Context(), &contestant{turn: func(context.Context) (float64, error) { return 0, broken }}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the contestant's error", err)
	}
}

// TestTimedWarmsUp checks that work of 6 ms is done four times before it is timed, which takes 20 ms,
// and longer work once.
func TestTimedWarmsUp(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]int{6 * time.Millisecond: 5, warmUp: 2, time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			times := 0
			seconds, err := timed(func() error {
				times++
				time.Sleep(took)
				return nil
			})(t.Context())
			if err != nil || times != want || seconds != took.Seconds() {
				t.Errorf("work of %v was done %d times and took %v s (%v), want %d times", took, times, seconds, err, want)
			}
		})
	}
}

// peer returns peers whose pytorch.py is this text, and the interpreter is python3.
func peer(t *testing.T, script string) *Peers {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "pytorch.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "").Run() == nil {
			return &Peers{Folder: folder, python: python}
		}
	}
	t.Skip("skipped: there is no python3")
	return nil
}

func TestPeerTakesTurns(t *testing.T) {
	t.Parallel()
	p := peer(t, `
import sys
print('{"peer": "A peer", "blas": "openblas", "kernels": "Haswell"}', flush=True)
for n, line in enumerate(sys.stdin):
    print(n + 0.5, flush=True)
`)
	c, reason, err := p.torch(t.Context())
	if err != nil || reason != "" {
		t.Fatal(reason, err)
	}
	samples, err := (&Bench{Runs: 2}).inTurn(t.Context(), c)
	closeAll(&err, c)
	if err != nil {
		t.Fatal(err)
	}
	if samples[0].Who != "A peer with OpenBLAS (Haswell kernels)" || !slices.Equal(samples[0].Values, []float64{1.5, 2.5}) {
		t.Errorf("got %+v", samples[0])
	}
}

// TestPeerFailureIsAnError checks that a peer that fails is an error. As a missing peer, it would
// be hidden.
func TestPeerFailureIsAnError(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"at the start": `import sys; sys.exit('broken on purpose')`,
		"in a turn":    `import sys; print('{"peer": "A", "blas": "openblas"}', flush=True); sys.stdin.readline(); sys.exit('broken on purpose')`,
	} {
		c, _, err := peer(t, script).torch(t.Context(), "products")
		if err == nil {
			_, err = (&Bench{Runs: 1}).inTurn(t.Context(), c)
		}
		if err == nil || !strings.Contains(err.Error(), "broken on purpose") {
			t.Errorf("%s: got %v, want the script's last line", name, err)
		}
	}
	c, reason, err := peer(t, `import sys; print('{"peer": "A", "blas": "reference BLAS"}', flush=True); sys.stdin.read()`).torch(t.Context())
	if c != nil || err != nil || !strings.Contains(reason, "install libopenblas0-pthread") {
		t.Errorf("another BLAS: got %v, %q and %v, want a reason", c, reason, err)
	}
}

// TestPeerHasKernelsForTheProcessor asks the OpenBLAS that is installed: one that does not know a
// processor would multiply with SSE3 on it, and everything would look quick beside that.
func TestPeerHasKernelsForTheProcessor(t *testing.T) {
	t.Parallel()
	if !slices.Contains(isa.Available(), isa.AVX2) {
		t.Skip("skipped: the processor has no AVX2")
	}
	p := FindPeers(t.Context(), filepath.Join("..", "..", "baselines", "peers"))
	c, reason, err := p.torch(t.Context(), "products", "8,8,8,nn,1")
	if reason != "" {
		t.Skip("skipped:", reason)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(c.who, "Prescott") {
		t.Errorf("the peer is %s, on a processor with AVX2", c.who)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
}
