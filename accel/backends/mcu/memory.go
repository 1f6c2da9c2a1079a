package mcu

import (
	"fmt"

	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// store counts what the network keeps in flash, in bytes by part.
func (m *machine) store() {
	m.flash = map[string]float64{}
	for _, s := range m.program.Stages {
		m.flash[backend.PartTables] += float64(s.Graph.TableBytes())
		m.flash[backend.PartState] += float64(s.Graph.StateBytes())
	}
	for name, w := range m.program.Weights {
		for _, k := range m.kernels[name] {
			rowBytes := (w.Cols*k.bits + 31) / 32 * 4 // rows begin at a word
			m.flash[m.program.Parts[name]] += float64(w.Rows * rowBytes)
			m.flash[backend.PartLevels] += float64(k.tableBytes)
		}
		m.flash[backend.PartLevels] += float64(4 * w.ScaleCount())
	}
}

// flashBytes is what the network takes of the flash.
func (m *machine) flashBytes() float64 {
	sum := 0.0
	for _, bytes := range m.flash {
		sum += bytes
	}
	return sum
}

// sramBytes is what a sequence takes of the SRAM: the states, the values of the graph that
// has the most, and what stages leave to later ones.
func (m *machine) sramBytes(steps map[string]int) float64 {
	states, most := 0, 0
	for _, s := range m.program.Stages {
		if s.Op != network.Scan {
			continue
		}
		states += s.Graph.StateBytes()
		bytes, sizes, rounded := 0, s.Graph.Sizes(), map[string]bool{}
		for _, in := range s.Graph.Inputs {
			if in.Token {
				bytes += 4
			} else {
				bytes += 4 * in.Size
			}
		}
		for _, n := range s.Graph.Nodes {
			if n.Op != stepgraph.Slice {
				bytes += 4 * n.Size
			}
			if n.Op == stepgraph.MatVec && !rounded[n.Inputs[0]] {
				rounded[n.Inputs[0]] = true
				bytes += sizes[n.Inputs[0]]
			}
		}
		most = max(most, bytes)
	}
	return float64(states + most + m.program.KeptBytes(steps))
}

// fitFlash refuses a network that the flash has no room for.
func (m *machine) fitFlash() error {
	if need := m.flashBytes()/1024 + codeKiB; need > float64(m.part.flashKiB) {
		return &backend.ErrUnsupported{Reason: fmt.Sprintf(
			"does not fit: the network and %d KiB of code take %.1f KiB of flash, and the %s has %d", codeKiB, need, m.name, m.part.flashKiB)}
	}
	return m.fitSRAM(nil)
}

// fitSRAM refuses a sequence whose values the SRAM has no room for.
func (m *machine) fitSRAM(steps map[string]int) error {
	if need := m.sramBytes(steps)/1024 + stackKiB; need > float64(m.part.sramKiB) {
		return &backend.ErrUnsupported{Reason: fmt.Sprintf(
			"does not fit: the values of a sequence and %d KiB of stack take %.1f KiB of SRAM, and the %s has %d", stackKiB, need, m.name, m.part.sramKiB)}
	}
	return nil
}

// memoryParts are flash and SRAM together: a state has its initial value in one and
// itself in the other.
func (m *machine) memoryParts(steps map[string]int) []backend.Part {
	var parts []backend.Part
	for _, name := range []string{
		backend.PartCodes, backend.PartLevels, backend.PartTables, backend.PartState,
		backend.PartEmbedding, backend.PartOutputLayer,
	} {
		parts = append(parts, backend.Part{Name: name, Value: m.flash[name]})
	}
	return append(parts, backend.Part{Name: backend.PartWorkspace, Value: m.sramBytes(steps)})
}
