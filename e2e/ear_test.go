//go:build e2e

package e2e

import (
	"net"
	"sync"
	"testing"
	"time"
)

// ear is a caller's: it receives the call's media (RTP, G.711 A-law) and notes when there was something to be heard.
type ear struct {
	port int

	mu   sync.Mutex
	loud []time.Time // packets of 20 ms, when they came
}

// newEar listens at a caller's address until the test ends.
func (s *stack) newEar(t testing.TB, face string) *ear {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(s.softswitchHost(face))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	e := &ear{port: conn.LocalAddr().(*net.UDPAddr).Port}
	go func() {
		packet := make([]byte, 2048)
		for {
			n, err := conn.Read(packet)
			if err != nil {
				return
			}
			// RFC 3550: 12 bytes of header without extensions; payload type 8 is A-law.
			if n <= 12 || packet[0] != 0x80 || packet[1]&0x7f != 8 || loudness(packet[12:n]) < 500 {
				continue
			}
			e.mu.Lock()
			e.loud = append(e.loud, time.Now())
			e.mu.Unlock()
		}
	}()
	return e
}

// heard returns the packets within which there was something to be heard, from and to exclusive.
func (e *ear) heard(from, to time.Time) (at []time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.loud {
		if t.After(from) && t.Before(to) {
			at = append(at, t)
		}
	}
	return at
}

// loudness is the mean amplitude of samples in A-law, of 32767.
func loudness(samples []byte) int {
	sum := 0
	for _, s := range samples {
		sum += amplitude(s)
	}
	return sum / len(samples)
}

// amplitude decodes a sample without its sign (ITU-T G.711).
func amplitude(s byte) int {
	s ^= 0x55
	a, segment := int(s&0x0f)<<4+8, s&0x70>>4
	if segment > 0 {
		a = (a + 0x100) << (segment - 1)
	}
	return a
}

// warned checks that within a conversation the caller hears the warning, that long before the cut, and nothing else.
func (e *ear) warned(t testing.TB, answered, cut time.Time, before time.Duration) {
	t.Helper()
	heard := e.heard(answered.Add(100*time.Millisecond), cut)
	if len(heard) < 3 {
		t.Errorf("the caller is not warned: %d packets with something to hear in the conversation", len(heard))
		return
	}
	near(t, "the warning, before the cut,", cut.Sub(heard[0]), before, 600*time.Millisecond)
	near(t, "the length of the warning", heard[len(heard)-1].Sub(heard[0]), 200*time.Millisecond, 400*time.Millisecond)
}
