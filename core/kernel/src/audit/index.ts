export { AUDIT_LIMITS, type AuditLimits } from './audit-limits.ts';
export * from './audit-pipeline.ts';
export * from './canonical-json.ts';
export * from './chain.ts';
