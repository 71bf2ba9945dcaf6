import herder from './index.js';

export const {
  Bus, CallOptions, Events, Gap, HerderError, Jobs, Namespace, State, Subscription, agent, agentsOf, bus, close, connect,
  context, expose, host, jobs, options, state,
} = herder;
export default herder;
