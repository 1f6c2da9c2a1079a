package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// hello is the first line that a script prints, as JSON, once it is ready.
type hello struct {
	Peer    string `json:"peer"`
	BLAS    string `json:"blas"`
	Kernels string `json:"kernels"` // of the BLAS, by the processor that they were written for
}

// torch starts pytorch.py. If it cannot be run, reason says why and there is no contestant.
func (p *Peers) torch(ctx context.Context, arguments ...string) (c *contestant, reason string, err error) {
	if p.pythonMiss != "" {
		return nil, p.pythonMiss, nil
	}
	c, h, err := p.start(ctx, p.python, "pytorch.py", arguments)
	if err != nil {
		return nil, "", err
	}
	if h.BLAS != "openblas" {
		return nil, fmt.Sprintf("%s computes with %s: install libopenblas0-pthread", h.Peer, h.BLAS), c.close()
	}
	c.who += " with OpenBLAS"
	if h.Kernels != "" {
		c.who += " (" + h.Kernels + " kernels)"
	}
	return c, "", nil
}

// onnx starts onnxruntime.mjs. If it cannot be run, reason says why and there is no contestant.
func (p *Peers) onnx(ctx context.Context, arguments ...string) (c *contestant, reason string, err error) {
	if p.nodeMiss != "" {
		return nil, p.nodeMiss, nil
	}
	c, _, err = p.start(ctx, "node", "onnxruntime.mjs", arguments)
	return c, "", err
}

// start starts a script and waits until it is ready. Then the script does one turn for each line
// that it is sent, and answers with the seconds, until its input ends.
func (p *Peers) start(ctx context.Context, interpreter, script string, arguments []string) (*contestant, hello, error) {
	command := exec.CommandContext(ctx, interpreter, append([]string{filepath.Join(p.Folder, script)}, arguments...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, hello{}, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, hello{}, err
	}
	if err := command.Start(); err != nil {
		return nil, hello{}, err
	}
	answers := json.NewDecoder(stdout)
	end := sync.OnceValue(func() error { return errors.Join(stdin.Close(), command.Wait()) })
	// failed ends the process, which has sent no answer, and returns what it printed last.
	failed := func(err error) error {
		ending := end()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if ending != nil {
			err = ending
		}
		return fmt.Errorf("peer script %s %s: %w: %s", script, strings.Join(arguments, " "), err, lastLine(stderr.String()))
	}
	var h hello
	if err := answers.Decode(&h); err != nil {
		return nil, hello{}, failed(err)
	}
	return &contestant{
		who: h.Peer, polls: true,
		turn: func(context.Context) (float64, error) {
			if _, err := io.WriteString(stdin, "turn\n"); err != nil {
				return 0, failed(err)
			}
			var seconds float64
			if err := answers.Decode(&seconds); err != nil {
				return 0, failed(err)
			}
			return seconds, nil
		},
		close: end,
	}, h, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
