package bench

import (
	"bytes"
	"context"
	"encoding/json"
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
func (b *Bench) portableLines(ctx context.Context) ([]Line, error) {
	if isa.Current() != isa.Portable {
		return b.again(ctx, isa.Portable, "portable")
	}
	p := product{m: 64, k: 512, n: 2048, count: 1}
	ours, _, _, err := b.timeProducts(ctx, []product{p}, b.Runs)
	if err != nil {
		return nil, err
	}
	matrix := func(rows, columns int) blas32.General {
		x := blas32.General{Rows: rows, Cols: columns, Stride: columns, Data: make([]float32, rows*columns)}
		for i := range x.Data {
			x.Data[i] = float32(i%17) - 8
		}
		return x
	}
	x, y, z := matrix(p.m, p.k), matrix(p.k, p.n), matrix(p.m, p.n)
	seconds, err := times(ctx, b.Runs, func() error {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, x, y, 0, z)
		return nil
	})
	if err != nil {
		return nil, err
	}
	line := newLine("MatrixProduct/portable-"+p.name(), ours)
	line.hold(gonumBLAS, Sample{Who: "gonum", Seconds: seconds}, "", Goal{Within: 2})
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
	var answer struct{ Lines []jsonLine }
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("bench at %s=%s: %w", isa.Variable, level, err)
	}
	var lines []Line
	for _, j := range answer.Lines {
		lines = append(lines, j.line())
	}
	return lines, nil
}
