package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What every trial system knows its only node by. The engine of `ringmaster dev` listens on loopback, and its carrier is
// made up.
const (
	trialNode   = "dev"
	trialSecret = "ringmaster-dev"
)

// trial is where a running trial system can be reached. `ringmaster dev` writes it into its folder, so that the other
// commands find it when they are not told where to ask.
type trial struct {
	Database string `json:"database"` // address of its Postgres
	URL      string `json:"url"`      // of its engine's call listener
	Page     string `json:"page"`     // of the operator's page
	Node     string `json:"node"`     // who may ask
	Secret   string `json:"secret"`
}

const trialFile = "running.json"

// errNoTrial is in the error of findTrial when none runs.
var errNoTrial = errors.New("no trial system is running")

// defaultStateDir is where trial systems live. The Postgres of a root user runs as somebody else, who may not enter root's home.
func defaultStateDir() string {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "ringmaster", "dev")
	}
	home, err := os.UserHomeDir()
	if os.Geteuid() == 0 || err != nil {
		return "/var/lib/ringmaster/dev"
	}
	return filepath.Join(home, ".local", "state", "ringmaster", "dev")
}

// findTrial reads where the trial system of a folder can be reached.
func findTrial(stateDir string) (trial, error) {
	var found trial
	if stateDir == "" {
		stateDir = defaultStateDir()
	}
	text, err := os.ReadFile(filepath.Join(stateDir, trialFile))
	if errors.Is(err, fs.ErrNotExist) {
		return found, fmt.Errorf("%w in %s", errNoTrial, stateDir)
	}
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		return found, fmt.Errorf("couldn't read where the trial system is: %w", err)
	}
	return found, nil
}

// write tells the other commands; the file is complete whenever they look.
func (t trial) write(stateDir string) error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(stateDir, trialFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// databaseFlag says which database a command reads.
type databaseFlag struct {
	Database string `placeholder:"ADDRESS" help:"Postgres, as postgres://user@host/database or key=value text. Default: that of the running ringmaster dev."`
	StateDir string `placeholder:"FOLDER" help:"Folder of the ringmaster dev to ask, where --database isn't given."`
}

// address is the address of the database, or says how to give one.
func (f databaseFlag) address() (string, error) {
	if f.Database != "" {
		return f.Database, nil
	}
	found, err := findTrial(f.StateDir)
	if errors.Is(err, errNoTrial) {
		return "", fmt.Errorf("which database? %w; start one with \"ringmaster dev\", or give --database or RINGMASTER_DATABASE", err)
	}
	return found.Database, err
}
