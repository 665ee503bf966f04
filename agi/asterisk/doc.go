// Package asterisk speaks the two protocols of an Asterisk on the same machine: AGI over TCP (Channel), in which a channel visits and is told what to do, and the
// manager interface (Manager), by which channels are changed that do not ask. Both refuse to send what could be more than one line.
package asterisk
