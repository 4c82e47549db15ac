package waybill

import (
	"fmt"
	"slices"
)

// Actor is who acted, where in the account hierarchy, and what is newly known
// about them. It is made by [User], [Device] or [System]; the zero Actor is
// refused. An Actor is a value: its methods return changed copies, so one can be
// made at log-in and narrowed in each request.
type Actor struct {
	kind     actorKind
	userID   string
	deviceID string
	traits   []Trait
	groups   []Group
	context  Context
}

type actorKind int

const (
	noActor actorKind = iota // the zero Actor
	userActor
	deviceActor
	systemActor
)

// User is a logged-in user, by an id that never changes and is no e-mail
// address. With an empty id the call is skipped, reason [ReasonNotLoggedIn].
func User(id string) Actor { return Actor{kind: userActor, userID: id} }

// Device is a visitor who is not logged in, by a stable id of the browser or
// installation. With an empty id the call is skipped, reason [ReasonNotLoggedIn].
func Device(id string) Actor { return Actor{kind: deviceActor, deviceID: id} }

// System is a part of the product that acts by itself, such as "billing-run". It
// appears as the user "sys:billing-run".
func System(name string) Actor {
	if name == "" {
		return Actor{}
	}
	return Actor{kind: systemActor, userID: "sys:" + name}
}

// OnDevice adds the device the user acted on, which lets Amplitude join what
// happened before the log-in.
func (a Actor) OnDevice(id string) Actor {
	a.deviceID = id
	return a
}

// With adds changes to the actor's traits. A trait that is set twice has the
// later value; one that is changed in two different ways is refused. Traits that
// have not changed cost nothing: the worker leaves them out.
func (a Actor) With(traits ...Trait) Actor {
	a.traits = append(slices.Clip(a.traits), traits...)
	return a
}

// In adds the groups the actor acted in, from root to leaf. Each is understood to
// belong to the one before it, unless it says otherwise with [Group.Under]. At
// most five, one of each type.
func (a Actor) In(groups ...Group) Actor {
	a.groups = append(slices.Clip(a.groups), groups...)
	return a
}

// Via says where the action was made: the platform, the session, and so on.
func (a Actor) Via(c Context) Actor {
	a.context = c
	return a
}

// loggedOut reports an actor whose id is not known yet.
func (a Actor) loggedOut() bool {
	return a.kind == userActor && a.userID == "" || a.kind == deviceActor && a.deviceID == ""
}

// Trait is one change to what is known about an actor: [Set], [SetOnce], [Unset]
// or [Increment].
type Trait interface {
	change() change
}

type operation int

const (
	opSet operation = iota
	opSetOnce
	opUnset
	opIncrement
)

type change struct {
	op    operation
	name  string
	value any
	delta string // decimal, for opIncrement
}

func (c change) change() change { return c }

// SetTrait is what [Set] returns: the one change that groups take too.
type SetTrait struct {
	name  string
	value any
}

func (s SetTrait) change() change { return change{op: opSet, name: s.name, value: s.value} }

// Set gives a trait of an actor or a group a value. The newest value wins, by the
// time of the action and not of its delivery.
func Set(name string, value any) SetTrait { return SetTrait{name, value} }

// SetOnce gives a trait a value unless it has one already.
func SetOnce(name string, value any) Trait { return change{op: opSetOnce, name: name, value: value} }

// Unset removes a trait.
func Unset(name string) Trait { return change{op: opUnset, name: name} }

// Increment adds to a number. In a call with several events it counts once, with
// the first event: if that one is a duplicate, the increment was counted before, and
// if it is best effort, so is the increment.
func Increment[N int | int32 | int64 | float64](name string, by N) Trait {
	return change{op: opIncrement, name: name, delta: fmt.Sprint(by)}
}

// Group is one level of the account hierarchy: [Account], [Workspace],
// [Project], or any other type with [InGroup].
type Group struct {
	groupType string
	id        string
	parent    string
	placed    bool // by Under; otherwise the group before it is the parent
	traits    []SetTrait
}

// InGroup is the group of the given type (a-z, 0-9 and _) and id, with traits
// that are newly known about it.
func InGroup(groupType, id string, traits ...SetTrait) Group {
	return Group{groupType: groupType, id: id, traits: traits}
}

// Account is the group of type "account".
func Account(id string, traits ...SetTrait) Group { return InGroup("account", id, traits...) }

// Workspace is the group of type "workspace".
func Workspace(id string, traits ...SetTrait) Group { return InGroup("workspace", id, traits...) }

// Project is the group of type "project".
func Project(id string, traits ...SetTrait) Group { return InGroup("project", id, traits...) }

// Under names the group it belongs to, which must stand earlier in the hierarchy.
// An empty id makes it a root.
func (g Group) Under(parentID string) Group {
	g.parent, g.placed = parentID, true
	return g
}
