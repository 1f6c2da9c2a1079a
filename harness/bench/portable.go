package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"bittern/accel/kernels/isa"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// portableLines compares the kernel in plain Go with gonum. A process chooses its instruction
// set at the start and keeps it, so this executable is run again at the other level.
func (b *Bench) portableLines(ctx context.Context) (_ []Line, err error) {
	p := product{m: 64, k: 512, n: 2048, count: 1}
	name := "MatrixProduct/portable-" + p.name()
	switch {
	case !b.wants(name):
		return nil, nil
	case isa.Current() != isa.Portable:
		return b.again(ctx, isa.Portable, "portable")
	}
	matrix := func(rows, columns int) blas32.General {
		x := blas32.General{Rows: rows, Cols: columns, Stride: columns, Data: make([]float32, rows*columns)}
		for i := range x.Data {
			x.Data[i] = float32(i%17) - 8
		}
		return x
	}
	x, y, z := matrix(p.m, p.k), matrix(p.k, p.n), matrix(p.m, p.n)
	own := b.alone([]product{p})
	gonum := &contestant{who: "gonum", turn: timed(func() error {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, x, y, 0, z)
		return nil
	})}
	defer closeAll(&err, own)
	samples, err := b.inTurn(ctx, own, gonum)
	if err != nil {
		return nil, err
	}
	line := newLine(name, samples[0])
	line.compare(gonumBLAS, samples[1], "")
	b.Progress(line.Name)
	return []Line{line}, nil
}

// again runs one group of the bench in a process at another level.
func (b *Bench) again(ctx context.Context, level isa.Level, group string) ([]Line, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, "bench", "--only", group, "--format", "json", "--peers", b.Peers.Folder,
		"--runs", strconv.Itoa(b.Runs), "--threads", strconv.Itoa(b.Threads))
	command.Env = append(os.Environ(), isa.Variable+"="+level.String())
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("bench at %s=%s: %w: %s", isa.Variable, level, err, lastLine(stderr.String()))
	}
	result, err := ReadJSON(stdout.Bytes())
	if err != nil {
		return nil, fmt.Errorf("bench at %s=%s: %w", isa.Variable, level, err)
	}
	return result.lines(), nil
}
