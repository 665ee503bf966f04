package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server under load. It dies with this program.
type process struct {
	name  string
	url   string // of its call listener
	admin string // of its second listener, if it has one
	cmd   *exec.Cmd
	done  chan error
}

// startProcess starts a command on a thread that lives as long as this program: the kernel sends the parent-death
// signal when the thread that forked ends.
func startProcess(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, done: make(chan error, 1)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.done <- cmd.Wait()
			close(p.done) // stopped twice, it has ended twice
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("couldn't start the %s: %w", name, err)
	}
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// cpu is what the process has used of the CPU, to one hundredth of a second (proc(5): fields 14 and 15 of stat).
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("couldn't read what the %s has used: %w", p.name, err)
	}
	// The second field, the program's name, may hold anything but ends with the last parenthesis.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("couldn't read what the %s has used: %w", p.name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil // USER_HZ is 100 on Linux
}

// machineCPU is what all processes together have used of the CPU (proc(5), the first line of stat), or 0.
func machineCPU() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	var ticks int64
	for i, field := range strings.Fields(line) {
		// user, nice, system, interrupts (hard and soft); not idle (4) and waiting for disks (5).
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && i <= 7 && i != 4 && i != 5 {
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// resident is the memory of the process, in bytes.
func (p *process) resident() (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("couldn't read the memory of the %s: %w", p.name, err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		return 0, fmt.Errorf("couldn't read the memory of the %s: %w", p.name, err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// startFloor starts this program as the floor.
func startFloor(reply []byte) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "floor")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(reply), os.Stderr
	address, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer address.Close()
	cmd.Stdout = write
	p, err := startProcess("floor", cmd)
	_ = write.Close()
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(address, &p.url); err != nil {
		p.stop()
		return nil, fmt.Errorf("couldn't read the floor's address: %w", err)
	}
	return p, nil
}

// freePorts gives two addresses on which nothing listens now.
func freePorts() (string, string, error) {
	var addresses [2]string
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", fmt.Errorf("couldn't find a free port: %w", err)
		}
		defer listener.Close()
		addresses[i] = listener.Addr().String()
	}
	return addresses[0], addresses[1], nil
}

// run runs a program to its end and gives its standard output.
func run(ctx context.Context, environment []string, program string, arguments ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("couldn't run %s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.Bytes())
	}
	return out, nil
}
