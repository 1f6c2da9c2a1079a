package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Peers runs the scripts of baselines/peers.
type Peers struct {
	Folder string // of the scripts

	python     string // an interpreter that can import torch
	pythonMiss string // the reason if there is none
	nodeMiss   string // the reason if ONNX Runtime cannot be run
}

// FindPeers finds the interpreters and packages of the scripts. What is missing is no error: the
// peer's sample then has a reason instead.
func FindPeers(ctx context.Context, folder string) *Peers {
	p := &Peers{Folder: folder}
	if _, err := os.Stat(filepath.Join(folder, "pytorch.py")); err != nil {
		reason := fmt.Sprintf("not installed: no peer scripts in %s (use --peers)", folder)
		p.pythonMiss, p.nodeMiss = reason, reason
		return p
	}
	p.pythonMiss = "not installed: no python3 imports torch (Debian: apt-get install python3-torch libopenblas0-pthread)"
	// Debian's packages are installed for /usr/bin/python3, which may not be the first on PATH.
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(ctx, python, "-c", "import torch").Run() == nil {
			p.python, p.pythonMiss = python, ""
			break
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "onnxruntime-node")); err != nil {
		p.nodeMiss = fmt.Sprintf("not installed: no onnxruntime-node (npm install --ignore-scripts in %s)", folder)
	} else if _, err := exec.LookPath("node"); err != nil {
		p.nodeMiss = "not installed: no node on PATH"
	}
	return p
}

// answer is what both scripts print, as JSON.
type answer struct {
	Peer    string    `json:"peer"`
	BLAS    string    `json:"blas"`
	Seconds []float64 `json:"seconds"`
}

// torch runs pytorch.py. If it cannot be run, reason says why and there is no sample.
func (p *Peers) torch(ctx context.Context, arguments ...string) (sample Sample, reason string, err error) {
	if p.pythonMiss != "" {
		return Sample{}, p.pythonMiss, nil
	}
	a, err := p.run(ctx, p.python, "pytorch.py", arguments)
	if err != nil {
		return Sample{}, "", err
	}
	if a.BLAS != "openblas" {
		return Sample{}, fmt.Sprintf("%s computes with %s: install libopenblas0-pthread", a.Peer, a.BLAS), nil
	}
	return Sample{Who: a.Peer + " with OpenBLAS", Seconds: a.Seconds}, "", nil
}

// onnx runs onnxruntime.mjs. If it cannot be run, reason says why and there is no sample.
func (p *Peers) onnx(ctx context.Context, arguments ...string) (sample Sample, reason string, err error) {
	if p.nodeMiss != "" {
		return Sample{}, p.nodeMiss, nil
	}
	a, err := p.run(ctx, "node", "onnxruntime.mjs", arguments)
	if err != nil {
		return Sample{}, "", err
	}
	return Sample{Who: a.Peer, Seconds: a.Seconds}, "", nil
}

func (p *Peers) run(ctx context.Context, interpreter, script string, arguments []string) (answer, error) {
	command := exec.CommandContext(ctx, interpreter, append([]string{filepath.Join(p.Folder, script)}, arguments...)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		return answer{}, fmt.Errorf("peer script %s %s: %w: %s", script, strings.Join(arguments, " "), err, lastLine(stderr.String()))
	}
	var a answer
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
		return answer{}, fmt.Errorf("peer script %s printed no result: %w", script, err)
	}
	if len(a.Seconds) == 0 {
		return answer{}, fmt.Errorf("peer script %s timed nothing", script)
	}
	return a, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
