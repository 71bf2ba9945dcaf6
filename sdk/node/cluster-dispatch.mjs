import dispatch from './cluster-dispatch.js';

export const { Agent, Master } = dispatch;
export default dispatch;
