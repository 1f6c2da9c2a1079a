// Package browser lets tests look at pages in headless Chromium, through the Chrome
// DevTools Protocol (https://chromedevtools.github.io/devtools-protocol/) over a pipe.
package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long an answer, or what a test waits for, may take on a machine that
// is busy with other things.
const patience = time.Minute

// Browser is a running Chromium.
type Browser struct {
	t       *testing.T
	out     *os.File
	mu      sync.Mutex
	number  int
	answers map[int]chan message
	tabs    map[string]*Tab // by session
}

// message is one of the protocol, in either direction.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts Chromium until the end of the test, which is skipped where there is none.
func Start(t *testing.T) *Browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium on PATH (Debian package chromium)")
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	// The sandbox needs rights that containers do not give; the pages are our own.
	command := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--no-first-run", "--user-data-dir="+profile, "--remote-debugging-pipe")
	command.Env = append(os.Environ(), "HOME="+profile)
	command.ExtraFiles = []*os.File{theirIn, theirOut} // descriptors 3 and 4, as the flag has it
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{t: t, out: in, answers: make(map[int]chan message), tabs: make(map[string]*Tab)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(bufio.NewReader(out))
	}()
	t.Cleanup(func() {
		b.call("", "Browser.close", nil, nil)
		_ = command.Wait() // how it ends is no matter of the test
		in.Close()
		<-done
		out.Close()
	})
	return b
}

func (b *Browser) read(in *bufio.Reader) {
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return // Chromium has ended
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.t.Errorf("Chromium wrote %q: %v", text, err)
			return
		}
		b.mu.Lock()
		answer, tab := b.answers[m.ID], b.tabs[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && answer != nil:
			answer <- m
		case tab != nil:
			tab.event(m)
		}
	}
}

// call does one thing of the protocol; result may be nil.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	text, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	if params == nil {
		text = nil
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.number++
	m := message{ID: b.number, Session: session, Method: method, Params: text}
	b.answers[m.ID] = answer
	if text, err = json.Marshal(m); err == nil {
		_, err = b.out.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case m = <-answer:
	case <-time.After(patience):
		b.t.Fatalf("%s: Chromium has not answered for %s", method, patience)
	}
	if m.Error != nil {
		b.t.Fatalf("%s: %s", method, m.Error.Message)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
	}
}

// Tab is a page that is open.
type Tab struct {
	*Browser
	session string

	mu       sync.Mutex
	messages []string
	loaded   chan struct{}
}

// Open opens a page in a window of this width in CSS pixels, and waits until it is loaded.
func (b *Browser) Open(url string, width int, dark bool) *Tab {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	tab := &Tab{Browser: b, session: attached.SessionID, loaded: make(chan struct{}, 1)}
	b.mu.Lock()
	b.tabs[tab.session] = tab
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		tab.do(domain+".enable", nil, nil)
	}
	tab.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	tab.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	tab.do("Page.navigate", map[string]any{"url": url}, nil)
	select {
	case <-tab.loaded:
	case <-time.After(patience):
		b.t.Fatalf("%s is not loaded after %s", url, patience)
	}
	return tab
}

func (t *Tab) do(method string, params, result any) {
	t.t.Helper()
	t.call(t.session, method, params, result)
}

// event notes what the page tells: that it is loaded, and messages of the console, among
// them what the Content-Security-Policy has blocked.
func (t *Tab) event(m message) {
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case t.loaded <- struct{}{}:
		default:
		}
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
		t.mu.Lock()
		t.messages = append(t.messages, m.Method+": "+string(m.Params))
		t.mu.Unlock()
	}
}

// Messages are those of the console so far.
func (t *Tab) Messages() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.messages)
}

// Eval evaluates an expression of JavaScript in the page, whose value result takes as
// from JSON.
func (t *Tab) Eval(expression string, result any) {
	t.t.Helper()
	var answer struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	t.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.Exception != nil {
		t.t.Fatalf("%s: %s %s", expression, answer.Exception.Text, answer.Exception.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		t.t.Fatalf("%s is %s: %v", expression, answer.Result.Value, err)
	}
}

// Wait waits until an expression is true.
func (t *Tab) Wait(expression string) {
	t.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var is bool
		if t.Eval("Boolean("+expression+")", &is); is {
			return
		}
	}
	var text string
	t.Eval("document.body.innerText", &text)
	t.t.Fatalf("%s is not true after %s; the page says:\n%s", expression, patience, text)
}

// Press presses and releases a key, such as Tab or Enter, in the element with the focus.
func (t *Tab) Press(key string) {
	t.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, " ": 32}
	down := map[string]any{"type": "keyDown", "key": key, "code": strings.ReplaceAll(key, " ", "Space"), "windowsVirtualKeyCode": codes[key]}
	switch key {
	case "Enter":
		down["text"] = "\r"
	case " ":
		down["text"] = " "
	}
	t.do("Input.dispatchKeyEvent", down, nil)
	down["type"] = "keyUp"
	delete(down, "text")
	t.do("Input.dispatchKeyEvent", down, nil)
}

// Screenshot writes a picture of the whole page, as PNG.
func (t *Tab) Screenshot(path string) {
	t.t.Helper()
	var shot struct{ Data string }
	t.do("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(path, picture, 0o600)
	}
	if err != nil {
		t.t.Fatal(fmt.Errorf("screenshot: %w", err))
	}
}

// PDF writes what is printed.
func (t *Tab) PDF(path string) {
	t.t.Helper()
	var printed struct{ Data string }
	t.do("Page.printToPDF", map[string]any{"printBackground": true, "preferCSSPageSize": true}, &printed)
	text, err := base64.StdEncoding.DecodeString(printed.Data)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.t.Fatal(fmt.Errorf("print: %w", err))
	}
}
