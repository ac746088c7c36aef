# Provider 3.x has no pod identity associations. In the rehearsal the controller's pods get their credentials from the
# local edge, which stands in for the agent on the nodes.
