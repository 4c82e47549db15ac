//go:build unix && !linux

package devpg

import "syscall"

const canNest = false

func nest(*syscall.SysProcAttr, int, int) {}

const sharedMemory = ""

func roomySharedMemory() bool { return false }

func isZombie(int) bool { return false } // the first process reaps them
