// Package rapl reads how much energy the processors of this computer have drawn, from the
// counters that Linux gives as files (Documentation/power/powercap/powercap.rst; RAPL of
// Intel and, since Linux 5.8, of AMD). Linux renews them about every millisecond.
//
// Of the domains there are, it counts each processor package, which has the cores in it, and
// each memory that is a domain of its own. What else runs on the computer is counted too.
package rapl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Folder is where Linux has the counters.
const Folder = "/sys/class/powercap"

// Meter sums the counters of a computer.
type Meter struct{ counters []counter }

// counter counts the microjoules of a domain, and begins again at 0 once it is at most.
type counter struct {
	domain string // "package-0"
	folder string
	most   uint64
	last   uint64 // as it was read before
}

// Open finds the counters in a folder and reads them. The error is a sentence that says why
// there is no meter, and what to do.
func Open(folder string) (*Meter, error) {
	// Intel's second interface, intel-rapl-mmio, counts the same package again.
	domains, err := filepath.Glob(filepath.Join(folder, "intel-rapl:*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(domains)
	m := &Meter{}
	for _, domain := range domains {
		name, err := text(domain, "name")
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(name, "package") && name != "dram" {
			continue // a part of a package, or the whole computer
		}
		c := counter{domain: name, folder: domain}
		if c.most, err = number(domain, "max_energy_range_uj"); err != nil {
			return nil, err
		}
		if c.last, err = c.read(); err != nil {
			return nil, err
		}
		m.counters = append(m.counters, c)
	}
	if len(m.counters) == 0 {
		return nil, fmt.Errorf("this computer has no energy counter in %s: few virtual machines do", folder)
	}
	return m, nil
}

// Domains are what is counted, such as "dram" and "package-0".
func (m *Meter) Domains() []string {
	var names []string
	for _, c := range m.counters {
		names = append(names, c.domain)
	}
	slices.Sort(names)
	return names
}

// Joules is the energy since the call before, or since Open. A counter may begin again once
// in between, which at 200 W takes more than 20 minutes.
func (m *Meter) Joules() (float64, error) {
	sum := 0.0
	for i := range m.counters {
		c := &m.counters[i]
		now, err := c.read()
		if err != nil {
			return 0, err
		}
		if now < c.last && c.last > c.most {
			return 0, fmt.Errorf("%s counts to %d and not beyond %d as it says", c.folder, c.last, c.most)
		}
		drawn := now - c.last
		if now < c.last { // it began again
			drawn += c.most
		}
		c.last = now
		sum += 1e-6 * float64(drawn)
	}
	return sum, nil
}

func (c *counter) read() (uint64, error) {
	n, err := number(c.folder, "energy_uj")
	if errors.Is(err, fs.ErrPermission) {
		return 0, fmt.Errorf("the energy counter may not be read: let the administrator run chmod a+r %s", filepath.Join(filepath.Dir(c.folder), "intel-rapl:*", "energy_uj"))
	}
	return n, err
}

func text(folder, file string) (string, error) {
	content, err := os.ReadFile(filepath.Join(folder, file))
	return strings.TrimSpace(string(content)), err
}

func number(folder, file string) (uint64, error) {
	content, err := text(folder, file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(content, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s has no number: %w", filepath.Join(folder, file), err)
	}
	return n, nil
}
